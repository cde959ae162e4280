// HTTP/1.1 client: streaming both ways, keep-alive pool, TLS, Unix sockets, HTTP proxies.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "async/stream.hpp"
#include "core/bytes.hpp"
#include "http/message.hpp"

namespace tacit::http {

struct ClientLimits {
  std::size_t head_bytes_max = 64 * 1024;
  std::size_t headers_max = 200;
  Seconds connect_timeout{15};
  Seconds read_timeout{60};       // between two reads of a body
  std::size_t redirects_max = 5;  // 0: never follow. Authorization is dropped across origins.
  std::size_t idle_connections_max = 8;
};

struct ClientOptions {
  ClientLimits limits;
  std::shared_ptr<async::TlsClientContext> tls;  // null: one with the system's trust store is made
  std::string unix_path;    // send everything to this Unix socket, whatever the URL's host
  std::string https_proxy;  // "http://host:port" for https:// URLs (CONNECT); empty: none
  std::string http_proxy;
  std::string no_proxy;  // comma-separated suffixes, as curl has it
};

// Response is a response whose head has arrived. The body is read from it; destroying it before the
// end closes the connection (and tells the server that nobody listens).
class Response {
 public:
  virtual ~Response() = default;
  virtual const ResponseHead& head() const = 0;
  virtual const std::string& url() const = 0;  // after redirects
  // Part of the body; 0 at its end. Errors: malformed (cut short, bad chunk), deadline_exceeded,
  // cancelled, io.
  virtual Async<std::size_t> read_some(std::span<std::byte> into, Deadline deadline) = 0;
};

// Upload is a request whose head is on its way; its body is written piece by piece. Destroying it
// before finish() closes the connection, which the server sees as a request cut short.
class Upload {
 public:
  virtual ~Upload() = default;
  // Sends a piece; returns when the transport has taken it (back-pressure). A server that has
  // answered and closed already is no error here: finish() has its answer. Errors:
  // deadline_exceeded, cancelled.
  virtual Async<void> write(BytesView bytes, Deadline deadline) = 0;
  // Ends the body and waits for the head of the answer; once. Errors: as Client::send.
  virtual Async<std::unique_ptr<Response>> finish(Deadline deadline) = 0;
};

// Client belongs to one shard. Several sends may be in progress at once.
class Client {
 public:
  explicit Client(ClientOptions options = {});
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Sends a request to an absolute URL (http or https; no user info). Host, Content-Length and
  // User-Agent are filled in. A pooled connection that the server has closed meanwhile is replaced
  // once, when nothing of the response has arrived and the method is idempotent or no byte was
  // sent. Errors: invalid_argument (URL), unavailable, forbidden (certificate), malformed,
  // deadline_exceeded, cancelled.
  Async<std::unique_ptr<Response>> send(std::string method, std::string url, Headers headers,
                                        BytesView body, Deadline deadline);
  // Starts a request with a body of unknown length (chunked). Redirects are not followed. Errors:
  // as send.
  Async<std::unique_ptr<Upload>> start(std::string method, std::string url, Headers headers,
                                       Deadline deadline);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

// Reads the whole body. Errors: as read_some, and too_large.
Async<Bytes> read_all(Response& response, std::size_t body_bytes_max, Deadline deadline);

}  // namespace tacit::http
