// Variable-length integers of QUIC (RFC 9000 section 16): 1, 2, 4 or 8 bytes, big-endian, the
// length in the top two bits. Pure functions.
#pragma once

#include <cstdint>
#include <optional>

#include "core/bytes.hpp"

namespace tacit::seal {

inline constexpr std::uint64_t kVarintMax = (std::uint64_t{1} << 62) - 1;

constexpr std::size_t varint_bytes(std::uint64_t value) noexcept {
  if (value < 1u << 6) return 1;
  if (value < 1u << 14) return 2;
  return value < 1u << 30 ? 4 : 8;
}

// Appends the shortest form. Values over kVarintMax end the process: they are bugs, not input.
void put_varint(Bytes& out, std::uint64_t value);

struct Varint {
  std::uint64_t value = 0;
  std::size_t consumed = 0;
};
// The integer at the front of `in`, in any of its forms; nullopt when more bytes are needed.
std::optional<Varint> get_varint(BytesView in) noexcept;

}  // namespace tacit::seal
