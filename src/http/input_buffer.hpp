// Bytes read from a connection and not used yet.
#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "core/bytes.hpp"

namespace tacit::http {

// InputBuffer is a contiguous queue of bytes. It may be empty without memory; what it held is wiped
// before its memory goes back, for prompts pass through it. Movable; not thread-safe.
class InputBuffer {
 public:
  InputBuffer() = default;
  ~InputBuffer() { release(); }
  InputBuffer(InputBuffer&& other) noexcept;
  InputBuffer& operator=(InputBuffer&& other) noexcept;
  InputBuffer(const InputBuffer&) = delete;
  InputBuffer& operator=(const InputBuffer&) = delete;

  bool empty() const noexcept { return begin_ == end_; }
  std::size_t size() const noexcept { return end_ - begin_; }
  BytesView view() const noexcept { return {data_.get() + begin_, size()}; }
  // Room for at least `n` more bytes; then commit() those written.
  std::span<std::byte> prepare(std::size_t n);
  void commit(std::size_t n) noexcept;
  // Takes n bytes off the front.
  void consume(std::size_t n) noexcept;
  // Gives the memory back; drops what is left.
  void release() noexcept;

 private:
  std::unique_ptr<std::byte[]> data_;
  std::size_t capacity_ = 0;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::size_t used_ = 0;  // high-water mark, for wiping
};

}  // namespace tacit::http
