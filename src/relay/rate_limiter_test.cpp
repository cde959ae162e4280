#include "relay/rate_limiter.hpp"

#include <gtest/gtest.h>

namespace tacit::relay {
namespace {

constexpr SteadyTime kStart{std::chrono::hours{1}};

TEST(RateLimiter, TellsClientsApart) {
  EXPECT_EQ(client_of("192.0.2.1:50"), "192.0.2.1");
  EXPECT_EQ(client_of("[::ffff:192.0.2.1]:50"), "192.0.2.1");
  EXPECT_EQ(client_of("[2001:db8:1:2::7]:50"), "20010db800010002");
  EXPECT_EQ(client_of("[2001:db8:1:2:3::8]:51"), "20010db800010002");
  EXPECT_NE(client_of("[2001:db8:1:3::7]:50"), "20010db800010002");
  EXPECT_EQ(client_of("unix"), "unix");
}

TEST(RateLimiter, AClientHasABurstAndARate) {
  RateLimiter limiter{{.client = {.per_s = 2, .burst = 3}, .total = {}}};
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(limiter.admit("192.0.2.1:1", kStart));
  EXPECT_EQ(limiter.admit("192.0.2.1:2", kStart).error().code(), Code::rate_limited);
  EXPECT_TRUE(limiter.admit("192.0.2.2:1", kStart));  // another one
  EXPECT_TRUE(limiter.admit("192.0.2.1:1", kStart + Milliseconds{500}));
  EXPECT_FALSE(limiter.admit("192.0.2.1:1", kStart + Milliseconds{501}));
  // It never saves more than the burst.
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(limiter.admit("192.0.2.1:1", kStart + Seconds{900}));
  EXPECT_FALSE(limiter.admit("192.0.2.1:1", kStart + Seconds{900}));
}

TEST(RateLimiter, AllTogetherHaveALimit) {
  RateLimiter limiter{{.client = {.per_s = 100, .burst = 100}, .total = {.per_s = 1, .burst = 2}}};
  EXPECT_TRUE(limiter.admit("192.0.2.1:1", kStart));
  EXPECT_TRUE(limiter.admit("192.0.2.2:1", kStart));
  EXPECT_EQ(limiter.admit("192.0.2.3:1", kStart).error().code(), Code::overloaded);
}

TEST(RateLimiter, WithoutLimitsNobodyIsRemembered) {
  RateLimiter limiter{{}};
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(limiter.admit("192.0.2.1:1", kStart));
  EXPECT_EQ(limiter.num_clients(), 0u);
}

TEST(RateLimiter, MemoryIsBoundedAndForgets) {
  RateLimiter limiter{{.client = {.per_s = 1, .burst = 1}, .total = {}, .clients_max = 10}};
  for (int i = 0; i < 20; ++i) {
    (void)limiter.admit("192.0.2." + std::to_string(i) + ":1", kStart);
  }
  EXPECT_EQ(limiter.num_clients(), 10u);
  // Those beyond share one bucket, which is empty by now.
  EXPECT_FALSE(limiter.admit("192.0.3.1:1", kStart));
  EXPECT_TRUE(limiter.admit("192.0.3.1:1", kStart + Seconds{60}));
  EXPECT_EQ(limiter.num_clients(), 1u);
}

}  // namespace
}  // namespace tacit::relay
