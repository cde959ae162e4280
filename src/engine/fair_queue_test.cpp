#include "engine/fair_queue.hpp"

#include <gtest/gtest.h>

#include <random>

namespace tacit::engine {
namespace {

constexpr TenantKey kAnna = domain::CacheSalt{1};
constexpr TenantKey kBen = domain::CacheSalt{2};

TEST(FairQueue, OneTenantIsServedInOrder) {
  FairQueue queue;
  for (std::uint64_t at = 1; at <= 3; ++at) queue.push(kAnna, 1, at);
  for (std::uint64_t at = 1; at <= 3; ++at) {
    EXPECT_EQ(queue.next(), at);
    queue.remove(kAnna, at);
    queue.charge(kAnna, 100);
  }
  EXPECT_FALSE(queue.next());
  EXPECT_EQ(queue.size(), 0u);
}

TEST(FairQueue, AFloodOfOneDoesNotKeepAnotherWaiting) {
  FairQueue queue;
  for (std::uint64_t at = 1; at <= 100; ++at) queue.push(kAnna, 1, at);
  queue.remove(kAnna, 1);
  queue.charge(kAnna, 50);
  queue.push(kBen, 1, 101);  // begins at Anna's counter
  EXPECT_EQ(queue.next(), 2u);
  queue.remove(kAnna, 2);
  queue.charge(kAnna, 1);
  EXPECT_EQ(queue.next(), 101u);
}

TEST(FairQueue, AbsenceSavesNothingUp) {
  FairQueue queue;
  queue.push(kBen, 1, 1);
  queue.remove(kBen, 1);
  queue.push(kAnna, 1, 2);
  queue.charge(kAnna, 1'000'000);
  queue.push(kBen, 1, 3);  // back, after Anna had the machine for long
  queue.charge(kBen, 1);
  EXPECT_EQ(queue.next(), 2u) << "Ben may not have a million tokens first";
}

TEST(FairQueue, WeightsDivideTheService) {
  FairQueue queue;
  std::uint64_t at = 0;
  queue.push(kAnna, 3, ++at);
  queue.push(kBen, 1, ++at);
  std::uint64_t anna = 0;
  std::uint64_t ben = 0;
  std::mt19937 random{1};
  for (int i = 0; i < 10'000; ++i) {
    const auto next = *queue.next();
    const auto tokens = 1 + random() % 100;
    // Whose it is follows from who has it in line.
    FairQueue copy = queue;
    copy.remove(kAnna, next);
    const auto& who = copy.size() < queue.size() ? kAnna : kBen;
    (who == kAnna ? anna : ben) += tokens;
    queue.push(who, who == kAnna ? 3 : 1, ++at);
    queue.remove(who, next);
    queue.charge(who, tokens);
  }
  EXPECT_NEAR(static_cast<double>(anna) / static_cast<double>(ben), 3.0, 0.05);
}

TEST(FairQueue, AFullLineIsClearedOfWhoCrowdsIt) {
  FairQueue queue;
  for (std::uint64_t at = 1; at <= 10; ++at) queue.push(kAnna, 1, at);
  EXPECT_EQ(queue.crowding(kBen, 1), 10u) << "the newest of the many";
  EXPECT_FALSE(queue.crowding(kAnna, 1)) << "nobody pushes out his own";
  for (std::uint64_t at = 11; at <= 19; ++at) queue.push(kBen, 1, at);
  EXPECT_FALSE(queue.crowding(kBen, 1)) << "it would have as many";
  EXPECT_EQ(queue.crowding(kBen, 2), 10u) << "but by its weight may have more";
}

TEST(FairQueue, RemembersABoundedNumberOfTenants) {
  FairQueue queue;
  for (std::uint64_t at = 0; at < 5000; ++at) {
    const TenantKey tenant =
        domain::CacheSalt{static_cast<std::uint8_t>(at), static_cast<std::uint8_t>(at >> 8)};
    queue.push(tenant, 1, at);
    queue.remove(tenant, at);
    queue.charge(tenant, 5);
  }
  EXPECT_LE(queue.num_tenants(), 4096u);
}

}  // namespace
}  // namespace tacit::engine
