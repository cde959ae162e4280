#include "engine/sequence_state.hpp"

#include <gtest/gtest.h>

#include <set>
#include <vector>

namespace tacit::engine {
namespace {

std::vector<State> states() {
  std::vector<State> out;
  for (int i = 0; i <= static_cast<int>(kLastState); ++i) out.push_back(static_cast<State>(i));
  return out;
}
std::vector<Input> inputs() {
  std::vector<Input> out;
  for (int i = 0; i <= static_cast<int>(kLastInput); ++i) out.push_back(static_cast<Input>(i));
  return out;
}

TEST(SequenceState, EveryStateCanBeReachedAndEnds) {
  std::set<State> reached{State::waiting};
  for (std::size_t before = 0; before != reached.size();) {
    before = reached.size();
    for (const auto state : std::set<State>{reached})
      for (const auto input : inputs())
        if (const auto next = next_state(state, input)) reached.insert(*next);
  }
  EXPECT_EQ(reached.size(), states().size());
  for (const auto state : states()) {
    if (state != State::done) {
      EXPECT_EQ(next_state(state, Input::ended), State::done);
    }
  }
  for (const auto input : inputs()) EXPECT_FALSE(next_state(State::done, input));
}

// A slot is got by the inputs that give one and lost by those that take it, and by no others.
TEST(SequenceState, SlotsChangeHandsOnlyWhereTheTableSaysSo) {
  for (const auto state : states()) {
    for (const auto input : inputs()) {
      const auto next = next_state(state, input);
      if (!next) continue;
      const bool gives = input == Input::slot_given || input == Input::slot_to_follow;
      const bool takes = input == Input::slot_lost || input == Input::all_computed ||
                         (input == Input::ended && owns_slot(state));
      EXPECT_EQ(!owns_slot(state) && owns_slot(*next), gives);
      EXPECT_EQ(owns_slot(state) && !owns_slot(*next), takes);
    }
  }
}

}  // namespace
}  // namespace tacit::engine
