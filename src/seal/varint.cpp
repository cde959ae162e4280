#include "seal/varint.hpp"

#include <bit>
#include <cstdlib>

namespace tacit::seal {

void put_varint(Bytes& out, std::uint64_t value) {
  if (value > kVarintMax) std::abort();
  const auto n = varint_bytes(value);
  const auto coded = value | static_cast<std::uint64_t>(std::countr_zero(n)) << (8 * n - 2);
  for (auto i = n; i-- > 0;) out.push_back(static_cast<std::byte>(coded >> (8 * i)));
}

std::optional<Varint> get_varint(BytesView in) noexcept {
  if (in.empty()) return std::nullopt;
  const auto first = std::to_integer<std::uint64_t>(in[0]);
  const auto n = std::size_t{1} << (first >> 6);
  if (in.size() < n) return std::nullopt;
  auto value = first & 0x3f;
  for (std::size_t i = 1; i < n; ++i) value = value << 8 | std::to_integer<std::uint64_t>(in[i]);
  return Varint{value, n};
}

}  // namespace tacit::seal
