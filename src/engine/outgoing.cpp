#include "engine/outgoing.hpp"

#include <sys/uio.h>

#include <array>
#include <cerrno>

namespace tacit::engine {

Result<void> Outgoing::flush(int fd) {
  while (!frames_.empty()) {
    std::array<iovec, 32> parts;
    std::size_t n = 0;
    for (const auto& frame : frames_) {
      if (n == parts.size()) break;
      const auto rest = frame.reveal().subspan(n == 0 ? written_ : 0);
      parts[n++] = {const_cast<std::byte*>(rest.data()), rest.size()};  // writev only reads
    }
    auto written = ::writev(fd, parts.data(), static_cast<int>(n));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return {};
    if (written < 0) return fail(Code::io, "socket write failed");
    for (auto left = static_cast<std::size_t>(written); left > 0;) {
      const auto rest = frames_.front().size() - written_;
      if (left < rest) {
        written_ += left;
        break;
      }
      left -= rest;
      written_ = 0;
      frames_.pop_front();
    }
  }
  return {};
}

}  // namespace tacit::engine
