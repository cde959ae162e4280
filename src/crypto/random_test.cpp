#include "crypto/random.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>

namespace tacit::crypto {
namespace {

TEST(Random, FillsEveryByteOfAnySize) {
  for (const std::size_t size : {0u, 1u, 7u, 32u, 4096u}) {
    // A byte that stays zero in 40 draws is one that is not filled (chance 2^-320).
    Bytes seen(size);
    for (int draw = 0; draw < 40; ++draw) {
      Bytes bytes(size);
      random_bytes(bytes);
      for (std::size_t i = 0; i < size; ++i) seen[i] |= bytes[i];
    }
    EXPECT_TRUE(std::ranges::none_of(seen, [](std::byte b) { return b == std::byte{0}; })) << size;
  }
}

TEST(Random, DoesNotRepeat) {
  std::set<std::uint64_t> seen;
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(seen.insert(random_u64()).second);
}

}  // namespace
}  // namespace tacit::crypto
