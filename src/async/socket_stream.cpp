#include "async/socket_stream.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "async/cancel.hpp"
#include "async/wait.hpp"

namespace tacit::async {

namespace {

constexpr std::size_t kPartsPerCall = 16;

bool would_block(int error) { return error == EAGAIN || error == EWOULDBLOCK; }

Error socket_error(Literal what) { return Error{Code::io, what}.with("errno", errno); }

// What is left of a gathered write.
class Gather {
 public:
  explicit Gather(std::span<const BytesView> parts) : parts_{parts} { skip_empty(); }

  bool done() const noexcept { return parts_.empty(); }
  // Describes the next bytes for one system call.
  std::size_t fill(std::array<iovec, kPartsPerCall>& out) const noexcept {
    const auto count = std::min(parts_.size(), out.size());
    for (std::size_t i = 0; i < count; ++i) {
      const auto part = i == 0 ? parts_[0].subspan(offset_) : parts_[i];
      // sendmsg does not write through it
      out[i] = {const_cast<std::byte*>(part.data()), part.size()};  // NOLINT
    }
    return count;
  }
  void consume(std::size_t n) noexcept {
    while (n > 0) {
      const auto left = parts_[0].size() - offset_;
      const auto step = std::min(n, left);
      offset_ += step;
      n -= step;
      skip_empty();
    }
  }

 private:
  void skip_empty() noexcept {
    while (!parts_.empty() && offset_ == parts_[0].size()) {
      parts_ = parts_.subspan(1);
      offset_ = 0;
    }
  }
  std::span<const BytesView> parts_;
  std::size_t offset_ = 0;
};

}  // namespace

Async<void> Stream::write(BytesView bytes, Deadline deadline) {
  const std::array parts{bytes};
  co_return co_await write(std::span<const BytesView>{parts}, deadline);
}

Result<std::unique_ptr<SocketStream>> SocketStream::create(const asio::any_io_executor& executor,
                                                           UniqueFd fd, std::string peer) {
  auto stream = std::make_unique<SocketStream>(executor, std::move(peer));
  TACIT_CHECK(stream->wait_.open(std::move(fd)));
  return stream;
}

Async<std::size_t> SocketStream::read_some(std::span<std::byte> into, Deadline deadline) {
  TACIT_CO_RETURN_IF_CANCELLED();
  if (reads_.used_up()) co_await yield();
  for (;;) {
    if (wait_.closed()) co_return fail(Code::cancelled, "closed");
    const auto n = ::recv(wait_.fd(), into.data(), into.size(), MSG_DONTWAIT);
    if (n >= 0) co_return static_cast<std::size_t>(n);
    if (errno == EINTR) continue;
    if (!would_block(errno)) co_return fail(socket_error("reading from a socket"));
    reads_.waits();
    TACIT_CO_CHECK(co_await wait_.wait(FdWait::User::reader, FdWait::Event::wait_read, deadline));
  }
}

Async<void> SocketStream::write(std::span<const BytesView> parts, Deadline deadline) {
  TACIT_CO_RETURN_IF_CANCELLED();
  if (writes_.used_up()) co_await yield();
  Gather gather{parts};
  while (!gather.done()) {
    if (wait_.closed()) co_return fail(Code::cancelled, "closed");
    std::array<iovec, kPartsPerCall> vectors;
    msghdr message{};
    message.msg_iov = vectors.data();
    message.msg_iovlen = gather.fill(vectors);
    const auto n = ::sendmsg(wait_.fd(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n >= 0) {
      gather.consume(static_cast<std::size_t>(n));
      continue;
    }
    if (errno == EINTR) continue;
    if (!would_block(errno)) co_return fail(socket_error("writing to a socket"));
    writes_.waits();
    TACIT_CO_CHECK(co_await wait_.wait(FdWait::User::writer, FdWait::Event::wait_write, deadline));
  }
  co_return Result<void>{};
}

Async<void> SocketStream::wait_readable(Deadline deadline) {
  TACIT_CO_RETURN_IF_CANCELLED();
  reads_.waits();
  for (;;) {
    if (wait_.closed()) co_return fail(Code::cancelled, "closed");
    std::byte peeked;
    const auto n = ::recv(wait_.fd(), &peeked, 1, MSG_DONTWAIT | MSG_PEEK);
    if (n >= 0 || (!would_block(errno) && errno != EINTR)) co_return Result<void>{};
    TACIT_CO_CHECK(co_await wait_.wait(FdWait::User::reader, FdWait::Event::wait_read, deadline));
  }
}

void SocketStream::shutdown_write() noexcept {
  if (!wait_.closed()) ::shutdown(wait_.fd(), SHUT_WR);
}

Task<> SocketStream::shutdown(Deadline) {
  shutdown_write();
  co_return;
}

Result<std::unique_ptr<Stream>> wrap_fd(asio::any_io_executor executor, UniqueFd fd) {
  const int flags = ::fcntl(fd.get(), F_GETFL);
  if (flags < 0 || ::fcntl(fd.get(), F_SETFL, flags | O_NONBLOCK) < 0 ||
      ::fcntl(fd.get(), F_SETFD, FD_CLOEXEC) < 0) {
    return fail(socket_error("preparing a descriptor"));
  }
  TACIT_TRY(std::unique_ptr<Stream> stream, SocketStream::create(executor, std::move(fd), "unix"));
  return stream;
}

}  // namespace tacit::async
