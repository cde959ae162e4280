// Private to async: TLS over a socket.
#pragma once

#include "async/fair_turns.hpp"
#include "async/socket_stream.hpp"
#include "async/tls_context.hpp"

namespace tacit::async {

// TlsStream drives OpenSSL over the non-blocking socket itself: one record, one system call, no
// copy in between.
class TlsStream final : public Stream {
 public:
  // `context` is kept alive for the SSL object.
  TlsStream(std::unique_ptr<SocketStream> socket, SslHandle ssl, std::shared_ptr<void> context)
      : socket_{std::move(socket)}, context_{std::move(context)}, ssl_{std::move(ssl)} {}
  // Connects the SSL object with the socket. Errors: internal.
  Result<void> attach();
  // Errors: forbidden (certificate), malformed (not TLS, or no common parameters),
  // deadline_exceeded, cancelled, io.
  Async<void> handshake(Deadline deadline);

  using Stream::write;
  Async<std::size_t> read_some(std::span<std::byte> into, Deadline deadline) override;
  Async<void> write(std::span<const BytesView> parts, Deadline deadline) override;
  Async<void> wait_readable(Deadline deadline) override;
  void expire_read() noexcept override { socket_->expire_read(); }
  Task<> shutdown(Deadline deadline) override;
  void close() noexcept override { socket_->close(); }
  PublicText peer() const override { return socket_->peer(); }
  std::optional<TlsInfo> tls() const override;

 private:
  using User = FdWait::User;
  // Waits for what OpenSSL wants; the error when it wants nothing any more.
  Async<void> wait_for(int ssl_error, User user, Deadline deadline);
  Async<void> write_one(BytesView bytes, Deadline deadline);

  std::unique_ptr<SocketStream> socket_;
  std::shared_ptr<void> context_;
  SslHandle ssl_;
  FairTurns reads_;
  FairTurns writes_;
};

}  // namespace tacit::async
