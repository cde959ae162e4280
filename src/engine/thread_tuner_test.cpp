#include "engine/thread_tuner.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <map>

namespace tacit::engine {
namespace {

// Runs steps on a machine whose speed is a function, and returns the mean time of a step.
double run(ThreadTuner& tuner, int steps, std::uint32_t batch,
           const std::function<double(std::uint32_t)>& cost) {
  double total = 0;
  for (int i = 0; i < steps; ++i) {
    const auto seconds = cost(tuner.next(batch));
    total += seconds;
    tuner.record(seconds);
  }
  return total / steps;
}

double quiet(std::uint32_t threads) { return 0.010 / threads; }
// One core is taken: more than one thread waits for the scheduler at every barrier.
double contended(std::uint32_t threads) { return threads > 1 ? 1.7 : 0.012; }

TEST(ThreadTuner, StaysWithAllThreadsOnAQuietMachine) {
  ThreadTuner tuner{2};
  EXPECT_EQ(tuner.next(1), 2u);
  tuner.record(0.005);
  const auto mean = run(tuner, 5000, 1, quiet);
  EXPECT_LT(mean, 0.005 * 1.03) << "probing costs about two per cent";
}

TEST(ThreadTuner, LeavesAContendedCoreWithinAFewSteps) {
  ThreadTuner tuner{2};
  run(tuner, 2000, 1, quiet);
  EXPECT_LT(run(tuner, 20, 1, contended) * 20, 3 * 1.7)
      << "two slow steps at most, the rest on one thread";
  EXPECT_LT(run(tuner, 4000, 1, contended), 0.012 * 1.15);
}

TEST(ThreadTuner, ComesBackWhenTheMachineIsQuiet) {
  ThreadTuner tuner{2};
  run(tuner, 1000, 1, contended);
  run(tuner, 2100, 1, quiet);
  EXPECT_LT(run(tuner, 1000, 1, quiet), 0.005 * 1.03);
}

TEST(ThreadTuner, FindsTheBestOfMany) {
  ThreadTuner tuner{16};
  const auto cost = [](std::uint32_t threads) { return threads > 4 ? 0.05 : 0.04 / threads; };
  run(tuner, 1000, 1, cost);
  EXPECT_LT(run(tuner, 1000, 1, cost), 0.01 * 1.1);
}

TEST(ThreadTuner, WhatOneBatchSizeLearnedIsTheFirstGuessOfOthers) {
  ThreadTuner tuner{2};
  run(tuner, 100, 1, contended);
  EXPECT_EQ(tuner.next(512), 1u);
  tuner.record(1.0);
}

TEST(ThreadTuner, TheFirstStepsOfAContendedProcessAreFewAndSlow) {
  ThreadTuner tuner{2};
  EXPECT_LT(run(tuner, 48, 1, contended) * 48, 1.7 + 48 * 0.012 + 2 * 1.7);
}

TEST(ThreadTuner, OneThreadIsAlwaysOne) {
  ThreadTuner tuner{1};
  std::map<std::uint32_t, int> seen;
  run(tuner, 1000, 1, [&](std::uint32_t threads) {
    ++seen[threads];
    return 0.01;
  });
  EXPECT_EQ(seen.size(), 1u);
  EXPECT_EQ(seen.begin()->first, 1u);
}

}  // namespace
}  // namespace tacit::engine
