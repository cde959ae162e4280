// HTTP/1.1 server (RFC 9112) over async streams: keep-alive, pipelining, chunked bodies, limits,
// graceful drain. One Server per shard; servers of one process share a port.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "async/runtime.hpp"
#include "async/stream.hpp"
#include "core/log.hpp"
#include "http/exchange.hpp"

namespace tacit::http {

// Every limit is a setting. Times are per connection or per request as named.
struct ServerLimits {
  std::size_t head_bytes_max = 32 * 1024;  // request line and headers
  std::size_t headers_max = 100;           // number of header fields
  std::size_t body_bytes_max = 32 * 1024 * 1024;
  std::size_t connections_max = 20'000;  // per server process, all shards together
  Seconds idle_timeout{75};              // keep-alive, between requests
  Seconds head_timeout{15};              // first byte of a request to the end of its head
  Seconds body_timeout{60};              // between two reads of a body
  Seconds write_timeout{60};             // one write blocked by a reader that does not read
  Seconds exchange_timeout{1800};        // head read to response finished
  Seconds tls_handshake_timeout{10};
};

struct ServerOptions {
  async::Endpoint listen;                        // host and port, or a Unix path
  std::shared_ptr<async::TlsServerContext> tls;  // null: plain
  ServerLimits limits;
};

// Server accepts connections on one shard and serves each exchange with `handler`.
class Server {
 public:
  // `connections` counts open connections over all shards; shared by them.
  struct Shared {
    std::atomic<std::size_t> connections{0};
    std::atomic<std::uint64_t> requests_total{0};
    std::atomic<std::uint64_t> refused_total{0};  // malformed or over a limit
  };
  Server(async::Shard& shard, Handler& handler, Logger& log, std::shared_ptr<Shared> shared,
         ServerOptions options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Binds; see async::Listener::bind for errors and `first`.
  Result<void> listen(bool first);
  std::uint16_t port() const;
  // Serves until drain() or close; on the shard's thread.
  Task<> run();
  // Stops accepting, lets running exchanges finish until `deadline` (responses say
  // "connection: close", idle connections close at once), then cancels the rest.
  // Returns how many were cancelled. On the shard's thread.
  Task<std::size_t> drain(Deadline deadline);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The server's side of one already connected stream: serves exchanges until it closes. This is what
// Server runs for each connection, and what tests run over a socket pair.
Task<> serve_connection(std::unique_ptr<async::Stream> stream, Carrier carrier, Handler& handler,
                        Logger& log, const ServerLimits& limits);

}  // namespace tacit::http
