#include "async/task_group.hpp"

#include <memory>

#include "async/async_testing.hpp"
#include "async/channel.hpp"
#include "async/wait.hpp"

namespace tacit::async {
namespace {

Task<> sleeper(Nanoseconds wait, std::optional<Code>& ended) {
  const auto slept = co_await sleep_for(wait);
  ended = slept ? std::optional<Code>{} : slept.error().code();
}

Task<> waiter(Signal& signal, Deadline deadline, std::optional<Result<void>>& out) {
  out = co_await signal.wait(deadline);
}

Task<> increment(int& value) {
  ++value;
  co_return;
}

TACIT_ASYNC_TEST(TaskGroup, JoinWaitsForLeavers) {
  TaskGroup group{io.get_executor()};
  int count = 0;
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(group.spawn(increment(count)));
  EXPECT_TRUE(co_await group.join(Deadline::never()));
  EXPECT_EQ(count, 10);
  EXPECT_EQ(group.num_running(), 0U);
}

TACIT_ASYNC_TEST(TaskGroup, RefusesWorkOnceClosed) {
  TaskGroup group{io.get_executor()};
  group.close();
  int count = 0;
  EXPECT_FALSE(group.spawn(increment(count)));
  EXPECT_TRUE(co_await group.join(Deadline::never()));
  EXPECT_EQ(count, 0);
}

TACIT_ASYNC_TEST(TaskGroup, JoinCancelsAtItsDeadline) {
  TaskGroup group{io.get_executor()};
  std::optional<Code> ended;
  group.spawn(sleeper(Seconds{1000}, ended));
  EXPECT_FALSE(co_await group.join(Deadline::after(Milliseconds{5})));
  EXPECT_EQ(ended, Code::cancelled);
}

Task<> stubborn(int& later) {
  (void)co_await sleep_for(Seconds{1000});
  // Cancelled by now: whatever is awaited later ends at once, without an exception.
  for (int i = 0; i < 3; ++i) {
    const auto again = co_await sleep_for(Seconds{1000});
    if (!again && again.error().code() == Code::cancelled) ++later;
  }
}

TACIT_ASYNC_TEST(TaskGroup, CancellationStays) {
  TaskGroup group{io.get_executor()};
  int later = 0;
  group.spawn(stubborn(later));
  group.cancel();
  EXPECT_TRUE(co_await group.join(Deadline::never()));
  EXPECT_EQ(later, 3);
}

Task<> outer(std::optional<Code>& inner_ended, bool& outer_ended) {
  TaskGroup group{co_await asio::this_coro::executor};
  group.spawn(sleeper(Seconds{1000}, inner_ended));
  EXPECT_FALSE(co_await group.join(Deadline::never()));
  outer_ended = true;
}

TACIT_ASYNC_TEST(TaskGroup, CancellingTheJoinerCancelsItsTasks) {
  TaskGroup group{io.get_executor()};
  std::optional<Code> inner_ended;
  bool outer_ended = false;
  group.spawn(outer(inner_ended, outer_ended));
  co_await yield();
  group.cancel();
  EXPECT_TRUE(co_await group.join(Deadline::never()));
  EXPECT_EQ(inner_ended, Code::cancelled);
  EXPECT_TRUE(outer_ended);
}

TEST(TaskGroup, ExceptionLeavesTheEventLoop) {
  asio::io_context io;
  TaskGroup group{io.get_executor()};
  group.spawn([]() -> Task<> {
    co_await yield();
    throw std::logic_error{"a bug"};
  }());
  EXPECT_THROW(io.run(), std::logic_error);
  EXPECT_EQ(group.num_running(), 0U);
}

TEST(TaskGroupDeathTest, DestroyedWithLiveTasks) {
  EXPECT_DEATH(
      {
        asio::io_context io;
        std::optional<Code> ended;
        TaskGroup group{io.get_executor()};
        group.spawn(sleeper(Seconds{1000}, ended));
      },
      "");
}

TEST(TaskGroup, AnEndedEventLoopMayLeaveTasks) {
  auto io = std::make_unique<asio::io_context>();
  std::optional<Code> ended;
  auto group = std::make_unique<TaskGroup>(io->get_executor());
  group->spawn(sleeper(Seconds{1000}, ended));
  io->poll();
  io->stop();
  group.reset();
  io.reset();
}

TACIT_ASYNC_TEST(Signal, NotifyIsRememberedOnce) {
  Signal signal{io.get_executor()};
  signal.notify();
  signal.notify();
  EXPECT_TRUE((co_await signal.wait(Deadline::never())).has_value());
  const auto again = co_await signal.wait(Deadline::after(Milliseconds{1}));
  TACIT_CO_ASSERT(!again);
  EXPECT_EQ(again.error().code(), Code::deadline_exceeded);
}

TACIT_ASYNC_TEST(Signal, WakesAndIsCancelled) {
  Signal signal{io.get_executor()};
  TaskGroup group{io.get_executor()};
  std::optional<Result<void>> out;
  group.spawn(waiter(signal, Deadline::never(), out));
  co_await yield();
  EXPECT_FALSE(out);
  signal.notify();
  co_await yield();
  co_await yield();
  TACIT_CO_ASSERT(out && out->has_value());

  out.reset();
  group.spawn(waiter(signal, Deadline::after(Seconds{1000}), out));
  co_await yield();
  group.cancel();
  EXPECT_TRUE(co_await group.join(Deadline::never()));
  TACIT_CO_ASSERT(out && !out->has_value());
  EXPECT_EQ(out->error().code(), Code::cancelled);
}

TACIT_ASYNC_TEST(Signal, ShieldedWaitIgnoresCancellation) {
  Signal signal{io.get_executor()};
  TaskGroup group{io.get_executor()};
  std::optional<Result<void>> out;
  group.spawn([](Signal& on, std::optional<Result<void>>& result) -> Task<> {
    result = co_await on.wait_shielded(Deadline::never());
  }(signal, out));
  co_await yield();
  group.cancel();
  co_await yield();
  EXPECT_FALSE(out);
  signal.notify();
  EXPECT_TRUE(co_await group.join(Deadline::never()));
  EXPECT_TRUE(out && out->has_value());
}

TACIT_ASYNC_TEST(Signal, ALaterDeadlineSurvivesAnEarlierTimer) {
  Signal signal{io.get_executor()};
  EXPECT_FALSE((co_await signal.wait(Deadline::after(Milliseconds{2}))).has_value());
  TaskGroup group{io.get_executor()};
  std::optional<Result<void>> out;
  group.spawn(waiter(signal, Deadline::after(Seconds{5}), out));
  (void)co_await sleep_for(Milliseconds{10});
  EXPECT_FALSE(out);
  signal.notify();
  EXPECT_TRUE(co_await group.join(Deadline::never()));
  EXPECT_TRUE(out && out->has_value());
}

TACIT_ASYNC_TEST(Channel, BoundedInOrderAndClosed) {
  Channel<std::unique_ptr<int>> channel{io.get_executor(), 2};
  EXPECT_TRUE(channel.try_push(std::make_unique<int>(1)));
  EXPECT_TRUE(channel.try_push(std::make_unique<int>(2)));
  auto third = std::make_unique<int>(3);
  EXPECT_FALSE(channel.try_push(std::move(third)));
  EXPECT_TRUE(third);  // NOLINT(bugprone-use-after-move): a refused value is untouched
  channel.close();
  for (int expected = 1; expected <= 2; ++expected) {
    const auto got = co_await channel.pop(Deadline::never());
    TACIT_CO_ASSERT(got);
    EXPECT_EQ(**got, expected);
  }
  const auto end = co_await channel.pop(Deadline::never());
  TACIT_CO_ASSERT(!end);
  EXPECT_EQ(end.error().code(), Code::cancelled);
}

}  // namespace
}  // namespace tacit::async
