#include "engine/prefix_cache.hpp"

#include <gtest/gtest.h>

#include <random>

namespace tacit::engine {
namespace {

constexpr domain::CacheSalt kAnna{1};
constexpr domain::CacheSalt kBen{2};
using Tokens = std::vector<Token>;

TEST(PrefixCache, FindsTheLongestPrefixOfTheSameSaltAlone) {
  PrefixCache cache{3};
  cache.keep(0, kAnna, Tokens{1, 2, 3});
  cache.keep(1, kAnna, Tokens{1, 2, 3, 4, 5});
  cache.keep(2, kBen, Tokens{1, 2, 3, 4, 5, 6});
  const auto match = cache.find(kAnna, Tokens{1, 2, 3, 4, 9});
  ASSERT_TRUE(match);
  EXPECT_EQ(match->slot, 1u);
  EXPECT_EQ(match->tokens, 4u);
  EXPECT_FALSE(match->whole);
  EXPECT_FALSE(cache.find(kBen, Tokens{7, 1, 2}));
  EXPECT_FALSE(cache.find(domain::CacheSalt{3}, Tokens{1, 2, 3}));
}

TEST(PrefixCache, OfEqualPrefixesTheOneThatLosesNothingAndThenTheNewest) {
  PrefixCache cache{4};
  cache.keep(0, kAnna, Tokens{1, 2});
  cache.keep(1, kAnna, Tokens{1, 2, 7});
  cache.keep(2, kAnna, Tokens{1, 2, 8});
  EXPECT_EQ(cache.find(kAnna, Tokens{1, 2, 3})->slot, 0u);
  cache.drop(0);
  EXPECT_EQ(cache.find(kAnna, Tokens{1, 2, 3})->slot, 2u);
}

TEST(PrefixCache, ABusyTenantPushesOutItsOwnFirst) {
  PrefixCache cache{3};
  EXPECT_FALSE(cache.victim());
  cache.keep(0, kBen, Tokens{1});  // the oldest of all
  cache.keep(1, kAnna, Tokens{2});
  cache.keep(2, kAnna, Tokens{3});
  EXPECT_EQ(cache.victim(), 1u);
  cache.drop(1);
  EXPECT_EQ(cache.victim(), 0u);  // one each: the least recently used
}

// Against the plain definition, over random contents.
TEST(PrefixCache, NeverCrossesTheWall) {
  std::mt19937 random{5};
  for (int round = 0; round < 2000; ++round) {
    PrefixCache cache{4};
    std::vector<std::pair<domain::CacheSalt, Tokens>> held(4);
    for (Slot slot = 0; slot < 4; ++slot) {
      if (random() % 4 == 0) continue;
      held[slot] = {random() % 2 == 0 ? kAnna : kBen, Tokens(1 + random() % 6)};
      for (auto& token : held[slot].second) token = static_cast<Token>(random() % 2);
      cache.keep(slot, held[slot].first, held[slot].second);
    }
    Tokens wanted(1 + random() % 6);
    for (auto& token : wanted) token = static_cast<Token>(random() % 2);
    std::uint32_t most = 0;
    for (const auto& [salt, tokens] : held)
      if (salt == kAnna) most = std::max(most, common_prefix(tokens, wanted));
    const auto match = cache.find(kAnna, wanted);
    ASSERT_EQ(match ? match->tokens : 0u, most);
    if (match) {
      EXPECT_EQ(held[match->slot].first, kAnna);
    }
  }
}

}  // namespace
}  // namespace tacit::engine
