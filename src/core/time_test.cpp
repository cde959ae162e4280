#include "core/time.hpp"

#include <gtest/gtest.h>

namespace tacit {
namespace {

TEST(Deadline, AtMostPicksTheEarlier) {
  const auto late = Deadline::never().at_most(Seconds{10});
  EXPECT_FALSE(late.is_never());
  const auto early = late.at_most(Seconds{1});
  EXPECT_LT(early.when(), late.when());
  EXPECT_EQ(early.at_most(Seconds{60}).when(), early.when());
  EXPECT_TRUE(early.passed(early.when()));
  EXPECT_FALSE(Deadline::never().passed(early.when()));
}

TEST(ManualClock, MovesOnlyWhenTold) {
  ManualClock clock;
  const auto before = clock.now();
  clock.advance(Seconds{5});
  EXPECT_EQ(clock.now() - before, Seconds{5});
}

}  // namespace
}  // namespace tacit
