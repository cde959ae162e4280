// Byte views and the one cursor that owns length checks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"

namespace tacit {

using Bytes = std::vector<std::byte>;
using BytesView = std::span<const std::byte>;

inline BytesView as_bytes(std::string_view text) noexcept {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}
inline std::string_view as_text(BytesView bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// ByteReader reads from a borrowed view; every read is checked, and a failed read consumes nothing.
// Integers are little-endian unless the name ends in _be. Errors: Code::malformed "truncated".
class ByteReader {
 public:
  explicit ByteReader(BytesView bytes) noexcept : rest_{bytes}, size_{bytes.size()} {}

  bool done() const noexcept { return rest_.empty(); }
  std::size_t remaining() const noexcept { return rest_.size(); }
  std::size_t offset() const noexcept { return size_ - rest_.size(); }

  // The next n bytes; the view borrows from the input.
  Result<BytesView> take(std::size_t n) {
    if (n > rest_.size()) return fail(truncated());
    const auto head = rest_.first(n);
    rest_ = rest_.subspan(n);
    return head;
  }
  Result<std::uint8_t> u8() { return little<std::uint8_t>(); }
  Result<std::uint16_t> u16() { return little<std::uint16_t>(); }
  Result<std::uint32_t> u32() { return little<std::uint32_t>(); }
  Result<std::uint64_t> u64() { return little<std::uint64_t>(); }
  Result<std::uint16_t> u16_be() { return big<std::uint16_t>(); }
  Result<std::uint32_t> u32_be() { return big<std::uint32_t>(); }
  Result<std::uint64_t> u64_be() { return big<std::uint64_t>(); }
  Result<float> f32() {
    TACIT_TRY(const auto bits, u32());
    float value = 0;
    std::memcpy(&value, &bits, sizeof value);
    return value;
  }
  // A u32 length (refused over `size_max`), then that many bytes.
  Result<BytesView> sized(std::size_t size_max) {
    const auto before = rest_;
    TACIT_TRY(const auto n, u32());
    if (n > size_max || n > rest_.size()) {
      rest_ = before;
      if (n <= size_max) return fail(truncated());
      return fail(Error{Code::too_large, "length field"}
                      .with("bytes", n)
                      .with("limit", static_cast<std::int64_t>(size_max)));
    }
    return take(n);
  }

 private:
  static Error truncated() { return {Code::malformed, "truncated"}; }
  template <class T> Result<T> little() {
    TACIT_TRY(const auto raw, take(sizeof(T)));
    std::uint64_t value = 0;
    for (std::size_t i = sizeof(T); i-- > 0;)
      value = value << 8 | std::to_integer<std::uint64_t>(raw[i]);
    return static_cast<T>(value);
  }
  template <class T> Result<T> big() {
    TACIT_TRY(const auto raw, take(sizeof(T)));
    std::uint64_t value = 0;
    for (const auto byte : raw) value = value << 8 | std::to_integer<std::uint64_t>(byte);
    return static_cast<T>(value);
  }

  BytesView rest_;
  std::size_t size_;
};

// ByteWriter appends to a vector it owns. Little-endian unless the name ends in _be.
class ByteWriter {
 public:
  void u8(std::uint8_t v) { out_.push_back(std::byte{v}); }
  void u16(std::uint16_t v) { little(v, 2); }
  void u32(std::uint32_t v) { little(v, 4); }
  void u64(std::uint64_t v) { little(v, 8); }
  void u16_be(std::uint16_t v) { big(v, 2); }
  void u32_be(std::uint32_t v) { big(v, 4); }
  void u64_be(std::uint64_t v) { big(v, 8); }
  void f32(float v) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, &v, sizeof bits);
    u32(bits);
  }
  void raw(BytesView bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }
  void raw(std::string_view text) { raw(as_bytes(text)); }
  // u32 length, then the bytes.
  void sized(BytesView bytes) {
    u32(static_cast<std::uint32_t>(bytes.size()));
    raw(bytes);
  }
  void sized(std::string_view text) { sized(as_bytes(text)); }
  // Overwrites four bytes at `offset`, which must have been written already.
  void patch_u32(std::size_t offset, std::uint32_t v) {
    for (std::size_t i = 0; i < 4; ++i) out_[offset + i] = static_cast<std::byte>(v >> (8 * i));
  }

  std::size_t size() const noexcept { return out_.size(); }
  const Bytes& bytes() const& noexcept { return out_; }
  Bytes take() && { return std::move(out_); }
  void clear() noexcept { out_.clear(); }

 private:
  void little(std::uint64_t v, int n) {
    for (int i = 0; i < n; ++i) out_.push_back(static_cast<std::byte>(v >> (8 * i)));
  }
  void big(std::uint64_t v, int n) {
    for (int i = n; i-- > 0;) out_.push_back(static_cast<std::byte>(v >> (8 * i)));
  }
  Bytes out_;
};

}  // namespace tacit
