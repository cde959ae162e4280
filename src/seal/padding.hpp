// Sizes that a sealed message may have, so that its length says little about what it holds.
#pragma once

#include <bit>
#include <cstddef>

namespace tacit::seal {

inline constexpr std::size_t kBucketBytesMin = 1024;
// Up to here buckets double; above there are eight per doubling, at most 12.5 % of padding.
inline constexpr std::size_t kBucketDoublingMax = 65536;

// The smallest bucket that holds `n` bytes.
constexpr std::size_t bucket(std::size_t n) noexcept {
  if (n <= kBucketBytesMin) return kBucketBytesMin;
  const auto power = std::bit_ceil(n);
  if (power <= kBucketDoublingMax) return power;
  const auto step = power / 16;
  return (n + step - 1) / step * step;
}

}  // namespace tacit::seal
