#include "relay/batch.hpp"

#include <set>

#include "async/async_testing.hpp"
#include "async/cancel.hpp"

namespace tacit::relay {
namespace {

Task<> member(Batch& batch, int number, std::vector<int>& left) {
  if (co_await batch.join(Deadline::never())) left.push_back(number);
}

TACIT_ASYNC_TEST(Batch, LeavesWhenItIsFull) {
  Batch batch{{.requests = 3, .wait = Milliseconds{3'600'000}}, io.get_executor()};
  std::vector<int> left;
  async::TaskGroup group{io.get_executor()};
  group.spawn(member(batch, 0, left));
  group.spawn(member(batch, 1, left));
  co_await async::yield();
  EXPECT_EQ(batch.num_waiting(), 2u);
  EXPECT_TRUE(left.empty());
  group.spawn(member(batch, 2, left));
  (void)co_await group.join(Deadline::never());
  EXPECT_EQ(left.size(), 3u);
  EXPECT_EQ(batch.num_waiting(), 0u);
}

TACIT_ASYNC_TEST(Batch, LeavesWhenTheFirstHasWaitedLongEnough) {
  Batch batch{{.requests = 100, .wait = Milliseconds{1}}, io.get_executor()};
  std::vector<int> left;
  async::TaskGroup group{io.get_executor()};
  for (int i = 0; i < 5; ++i) group.spawn(member(batch, i, left));
  (void)co_await group.join(Deadline::never());
  EXPECT_EQ(left.size(), 5u);
}

TACIT_ASYNC_TEST(Batch, LeavesInAnyOrder) {
  std::set<std::vector<int>> orders;
  for (int round = 0; round < 200; ++round) {
    Batch batch{{.requests = 3, .wait = Milliseconds{3'600'000}}, io.get_executor()};
    std::vector<int> left;
    async::TaskGroup group{io.get_executor()};
    for (int i = 0; i < 3; ++i) group.spawn(member(batch, i, left));
    (void)co_await group.join(Deadline::never());
    orders.insert(left);
  }
  EXPECT_EQ(orders.size(), 6u);  // one of them is missing once in 10^15 runs
}

TACIT_ASYNC_TEST(Batch, WhoLeavesEarlyIsNotWaitedFor) {
  Batch batch{{.requests = 2, .wait = Milliseconds{3'600'000}}, io.get_executor()};
  std::vector<int> left;
  {
    async::TaskGroup group{io.get_executor()};
    group.spawn(member(batch, 0, left));
    co_await async::yield();
    group.cancel();
    (void)co_await group.join(Deadline::never());
  }
  EXPECT_EQ(batch.num_waiting(), 0u);
  EXPECT_FALSE(co_await batch.join(Deadline::after(Milliseconds{1})));
  EXPECT_EQ(batch.num_waiting(), 0u);
  EXPECT_TRUE(left.empty());
}

}  // namespace
}  // namespace tacit::relay
