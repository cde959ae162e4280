// Secrets as types: wiped on destruction, movable but not copyable, without any way to print them.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "core/bytes.hpp"

namespace tacit {

// wipe overwrites `bytes` with zeros in a way that the compiler may not remove.
void wipe(std::span<std::byte> bytes) noexcept;

// wipe_stack overwrites the part of this thread's stack that returned functions have used, down to
// 128 KiB below the caller: parsers keep pieces of what they read there. About two microseconds.
void wipe_stack() noexcept;

// constant_time_equal compares without an early exit. Unequal sizes are unequal (sizes are public).
bool constant_time_equal(BytesView a, BytesView b) noexcept;

// SecretBytes holds key material. Fixed size from construction. Not thread-safe.
class SecretBytes {
 public:
  SecretBytes() noexcept = default;
  explicit SecretBytes(std::size_t n);
  explicit SecretBytes(BytesView copy_from);
  ~SecretBytes();
  SecretBytes(SecretBytes&& other) noexcept;
  SecretBytes& operator=(SecretBytes&& other) noexcept;
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;

  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  // reveal gives access to the bytes. The view dies with this object; copies of it are yours to
  // wipe.
  BytesView reveal() const noexcept { return {data_, size_}; }
  std::span<std::byte> reveal_mutable() noexcept { return {data_, size_}; }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

// SecretText is text with the same rules: API keys, prompts in transit. Appendable; every buffer it
// outgrows is wiped too. Not thread-safe.
class SecretText {
 public:
  SecretText() noexcept = default;
  explicit SecretText(std::string_view text) { append(text); }
  ~SecretText();
  SecretText(SecretText&& other) noexcept;
  SecretText& operator=(SecretText&& other) noexcept;
  SecretText(const SecretText&) = delete;
  SecretText& operator=(const SecretText&) = delete;

  // clone is the one way to copy, and is easy to find.
  SecretText clone() const { return SecretText{reveal()}; }
  void append(std::string_view more);
  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }
  // The view dies with the next append or with this object.
  std::string_view reveal() const noexcept { return {data_, size_}; }

 private:
  void release() noexcept;
  char* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace tacit
