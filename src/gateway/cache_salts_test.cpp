#include "gateway/cache_salts.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace tacit::gateway {
namespace {

TEST(CacheSalts, OnePerTenantAndServer) {
  const CacheSalts salts;
  const CacheSalts other_server;
  std::set<domain::CacheSalt> seen;
  for (int i = 0; i < 1000; ++i) {
    const auto tenant = "key_" + std::to_string(i);
    EXPECT_EQ(salts.of(tenant), salts.of(tenant));
    EXPECT_TRUE(seen.insert(salts.of(tenant)).second);
    EXPECT_TRUE(seen.insert(other_server.of(tenant)).second);
  }
  EXPECT_TRUE(seen.insert(salts.of("")).second);
}

}  // namespace
}  // namespace tacit::gateway
