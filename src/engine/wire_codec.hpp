// Private to the protocol: how values are written into frames and read from them.
#pragma once

#include <cstring>
#include <span>
#include <string_view>

#include "core/bytes.hpp"
#include "core/error.hpp"
#include "core/text.hpp"
#include "engine/wire_error.hpp"

namespace tacit::engine::wire {

// A frame is written twice: once to count, once into a buffer of exactly that size, so that content
// is never left behind in a buffer that was outgrown.
class Counter {
 public:
  void bytes(const void*, std::size_t n) { size_ += n; }
  std::size_t size() const noexcept { return size_; }

 private:
  std::size_t size_ = 0;
};
class Filler {
 public:
  explicit Filler(std::span<std::byte> out) : out_{out} {}
  void bytes(const void* data, std::size_t n) {
    if (n > 0) std::memcpy(out_.data(), data, n);
    out_ = out_.subspan(n);
  }

 private:
  std::span<std::byte> out_;
};

template <class Sink> class Writer {
 public:
  explicit Writer(Sink& sink) : sink_{sink} {}
  template <class E> void type(E v) { u8(static_cast<std::uint8_t>(v)); }
  void flag(bool v) { u8(v ? 1 : 0); }
  void i32(std::int32_t v) { u32(static_cast<std::uint32_t>(v)); }
  void u8(std::uint8_t v) { little(v, 1); }
  void u16(std::uint16_t v) { little(v, 2); }
  void u32(std::uint32_t v) { little(v, 4); }
  void u64(std::uint64_t v) { little(v, 8); }
  void f32(float v) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, &v, sizeof bits);
    u32(bits);
  }
  void text(std::string_view v) {
    u32(static_cast<std::uint32_t>(v.size()));
    sink_.bytes(v.data(), v.size());
  }
  void error(const Error& v) {
    const auto wire = to_wire(v);
    u16(wire.row);
    for (const auto value : wire.values) u64(static_cast<std::uint64_t>(value));
  }

 private:
  void little(std::uint64_t v, std::size_t n) {
    std::byte raw[8];
    for (std::size_t i = 0; i < n; ++i) raw[i] = static_cast<std::byte>(v >> (8 * i));
    sink_.bytes(raw, n);
  }
  Sink& sink_;
};

inline Result<std::string_view> get_text(ByteReader& in, std::size_t size_max) {
  TACIT_TRY(const auto raw, in.sized(size_max));
  if (!is_utf8(as_text(raw))) return fail(Code::malformed, "text is not UTF-8");
  return as_text(raw);
}

inline Result<bool> get_bool(ByteReader& in) {
  TACIT_TRY(const auto v, in.u8());
  if (v > 1) return fail(Code::malformed, "flag is neither 0 nor 1");
  return v == 1;
}

inline Result<std::int32_t> get_i32(ByteReader& in) {
  TACIT_TRY(const auto v, in.u32());
  return static_cast<std::int32_t>(v);
}

// An enumerator from 0 to `last`.
template <class E> Result<E> get_enum(ByteReader& in, E last, Literal otherwise) {
  TACIT_TRY(const auto v, in.u8());
  if (v > static_cast<std::uint8_t>(last)) return fail(Code::malformed, otherwise);
  return static_cast<E>(v);
}

// A number of elements that follow, each at least one byte.
inline Result<std::uint32_t> get_count(ByteReader& in, std::size_t max, Literal over) {
  TACIT_TRY(const auto n, in.u32());
  if (n > max || n > in.remaining()) return fail(Code::too_large, over);
  return n;
}

}  // namespace tacit::engine::wire
