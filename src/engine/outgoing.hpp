// Frames on their way into a non-blocking socket.
#pragma once

#include <cstddef>
#include <deque>

#include "core/error.hpp"
#include "core/secret.hpp"

namespace tacit::engine {

// Outgoing is what waits to be written to one socket.
class Outgoing {
 public:
  void push(SecretBytes frame) { frames_.push_back(std::move(frame)); }
  bool empty() const noexcept { return frames_.empty(); }
  // Writes until done or the socket is full. Errors: io (the peer is gone).
  Result<void> flush(int fd);

 private:
  std::deque<SecretBytes> frames_;
  std::size_t written_ = 0;  // of the first frame
};

}  // namespace tacit::engine
