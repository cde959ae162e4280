// Alters bytes as the input says: a list of edits of four bytes (what, where, with what).
#pragma once

#include <cstdint>

#include "core/bytes.hpp"

namespace tacit::fuzz {

inline Bytes edited(Bytes wire, const std::uint8_t* data, std::size_t size) {
  ByteReader in{{reinterpret_cast<const std::byte*>(data), size}};
  while (in.remaining() >= 4 && !wire.empty()) {
    const auto what = in.u8().value();
    const auto at = in.u16().value() % wire.size();
    const auto with = in.u8().value();
    const auto place = wire.begin() + static_cast<std::ptrdiff_t>(at);
    if (what % 4 == 0) wire[at] ^= std::byte{with};
    if (what % 4 == 1) wire.erase(place);
    if (what % 4 == 2) wire.insert(place, std::byte{with});
    if (what % 4 == 3) wire.resize(at);
  }
  return wire;
}

}  // namespace tacit::fuzz
