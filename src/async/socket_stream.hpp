// Private to async: a plain TCP or Unix socket, and what TLS needs of it.
#pragma once

#include <string>

#include "async/fair_turns.hpp"
#include "async/fd_wait.hpp"
#include "async/stream.hpp"

namespace tacit::async {

class SocketStream final : public Stream {
 public:
  SocketStream(const asio::any_io_executor& executor, std::string peer)
      : wait_{executor}, peer_{std::move(peer)} {}
  // Takes a connected, non-blocking socket. `peer` is for logs.
  static Result<std::unique_ptr<SocketStream>> create(const asio::any_io_executor& executor,
                                                      UniqueFd fd, std::string peer);

  using Stream::write;
  Async<std::size_t> read_some(std::span<std::byte> into, Deadline deadline) override;
  Async<void> write(std::span<const BytesView> parts, Deadline deadline) override;
  Async<void> wait_readable(Deadline deadline) override;
  void expire_read() noexcept override { wait_.expire(FdWait::User::reader); }
  Task<> shutdown(Deadline deadline) override;
  void close() noexcept override { wait_.close(); }
  PublicText peer() const override { return PublicText{peer_}; }
  std::optional<TlsInfo> tls() const override { return std::nullopt; }

  FdWait& readiness() noexcept { return wait_; }
  // Ends our side without TLS; the peer reads an end of file.
  void shutdown_write() noexcept;

 private:
  FdWait wait_;
  std::string peer_;
  FairTurns reads_;
  FairTurns writes_;
};

}  // namespace tacit::async
