// Byte streams: TCP, TLS 1.3 and Unix sockets behind one interface, and the ways to get one.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "async/async.hpp"
#include "core/bytes.hpp"
#include "core/unique_fd.hpp"

namespace tacit::async {

// Stream is one connected, bidirectional byte stream that belongs to one shard. One read and one
// write may be in progress at the same time, not two of either. After any error other than
// deadline_exceeded of a read, only close() is useful.
class Stream {
 public:
  virtual ~Stream() = default;

  // Reads at least one byte into `into`; 0 means the peer ended its side in an orderly way.
  // Errors: deadline_exceeded (nothing was read; reading may go on), cancelled, io, and
  // Code::malformed for a TLS stream cut without close_notify.
  virtual Async<std::size_t> read_some(std::span<std::byte> into, Deadline deadline) = 0;
  // Writes all of `parts` in order (gathered into as few system calls as possible).
  // Errors: deadline_exceeded (the stream is then unusable), cancelled, io.
  virtual Async<void> write(std::span<const BytesView> parts, Deadline deadline) = 0;
  Async<void> write(BytesView bytes, Deadline deadline);
  // Waits until a read would not block, without holding a buffer: what an idle connection costs is
  // its socket and its coroutine. Errors as read_some.
  virtual Async<void> wait_readable(Deadline deadline) = 0;
  // Makes a pending read_some or wait_readable end now, with deadline_exceeded, as if its time were
  // up; no effect when none is pending. The stream stays usable.
  virtual void expire_read() noexcept = 0;
  // Ends our side in an orderly way (TLS close_notify, FIN); best effort, bounded by `deadline`.
  virtual Task<> shutdown(Deadline deadline) = 0;
  // Ends both sides at once; pending operations fail with cancelled. Idempotent.
  virtual void close() noexcept = 0;
  // Host-order description for logs: "127.0.0.1:5050", "unix". Never content.
  virtual PublicText peer() const = 0;
  // TLS facts; nullopt for plain streams.
  struct TlsInfo {
    std::string version;  // "TLSv1.3"
    std::string group;    // "X25519MLKEM768"
    std::string cipher;
  };
  virtual std::optional<TlsInfo> tls() const = 0;
};

// TlsServerContext: certificate chain and key; TLS 1.3 only; X25519MLKEM768 preferred, then X25519,
// P-256. Thread-safe once built; share one between shards.
class TlsServerContext {
 public:
  virtual ~TlsServerContext() = default;
  // Errors: io, malformed (file named), invalid_argument (key does not match the certificate).
  static Result<std::shared_ptr<TlsServerContext>> from_files(
      const std::string& certificate_chain_pem, const std::string& private_key_pem);
};

// TlsClientContext: verifies the peer against the system's trust store (SSL_CERT_FILE and
// SSL_CERT_DIR honoured) or the given CA file, and the host name. TLS 1.2 is accepted when
// `allow_tls12` (package registries); 1.3 otherwise.
class TlsClientContext {
 public:
  virtual ~TlsClientContext() = default;
  struct Options {
    std::string ca_file;  // empty: the system's trust store
    bool allow_tls12 = false;
  };
  static Result<std::shared_ptr<TlsClientContext>> create(const Options& options);
};

struct Endpoint {
  std::string host;  // name or address; empty for a Unix socket
  std::uint16_t port = 0;
  std::string unix_path;  // set for a Unix socket
};

// connect resolves and connects (each address in turn) on the calling coroutine's shard; with
// `tls`, also handshakes for `endpoint.host`. Errors: unavailable (refused, no such host, no
// network), deadline_exceeded, cancelled, and forbidden when the certificate does not verify.
Async<std::unique_ptr<Stream>> connect(const Endpoint& endpoint,
                                       std::shared_ptr<TlsClientContext> tls, Deadline deadline);

// start_tls handshakes as a client over an already connected stream (after an HTTP CONNECT).
Async<std::unique_ptr<Stream>> start_tls(std::unique_ptr<Stream> stream, const std::string& host,
                                         std::shared_ptr<TlsClientContext> tls, Deadline deadline);

// wrap_fd makes a stream of a connected Unix socket descriptor on the given executor.
Result<std::unique_ptr<Stream>> wrap_fd(asio::any_io_executor executor, UniqueFd fd);

// Listener accepts connections on one shard. Several listeners may share one TCP port
// (SO_REUSEPORT), one per shard; the kernel spreads connections over them.
class Listener {
 public:
  virtual ~Listener() = default;
  // Binds and listens. Port 0 picks a free one; see port(). A Unix path is created with mode 0600
  // and removed by the destructor; a stale one (nobody listens) is replaced.
  // Errors: already_exists (address in use, named), permission, invalid_argument.
  // `share_port`: set SO_REUSEPORT. Guard against a second server taking half the connections: bind
  // the first listener of a process with share_port only after a bind without it has succeeded; the
  // function does this when `first` is true.
  static Result<std::unique_ptr<Listener>> bind(asio::any_io_executor executor,
                                                const Endpoint& endpoint, bool first = true,
                                                int backlog = 1024);
  virtual std::uint16_t port() const = 0;
  // The next connection, as a plain stream (TLS is accept_tls's work, so that a slow handshake
  // never blocks the accept loop). Errors: cancelled after close(); overloaded when out of
  // descriptors (wait a little and go on).
  virtual Async<std::unique_ptr<Stream>> accept() = 0;
  virtual void close() noexcept = 0;
};

// accept_tls handshakes as a server.
Async<std::unique_ptr<Stream>> accept_tls(std::unique_ptr<Stream> plain,
                                          std::shared_ptr<TlsServerContext> tls, Deadline deadline);

}  // namespace tacit::async
