// Operations measured side by side on one core. For benchmarks only.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <vector>

namespace tacit::bench {

inline constexpr int kRounds = 9;
inline constexpr double kRoundSeconds = 0.05;

inline void require(bool ok) {
  if (!ok) std::abort();
}

// Processor time of this thread: what a core can do, whatever else the machine is doing.
inline double processor_seconds() {
  timespec time{};
  require(::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

inline double seconds_of(const std::function<void()>& work, int times) {
  const auto begun = processor_seconds();
  for (int i = 0; i < times; ++i) work();
  return processor_seconds() - begun;
}

// Operations measured side by side: every round runs each of them once, so that a disturbance of
// the machine meets all alike. Gives the median seconds of one call of each.
inline std::vector<double> measure(const std::vector<std::function<void()>>& operations) {
  std::vector<int> times;
  for (const auto& operation : operations) {
    int n = 1;
    while (seconds_of(operation, n) < kRoundSeconds / 4) n *= 2;
    times.push_back(4 * n);
  }
  std::vector<std::vector<double>> rounds(operations.size());
  for (int round = 0; round < kRounds; ++round) {
    for (std::size_t i = 0; i < operations.size(); ++i) {
      rounds[i].push_back(seconds_of(operations[i], times[i]) / times[i]);
    }
  }
  std::vector<double> medians;
  for (auto& values : rounds) {
    std::ranges::sort(values);
    medians.push_back(values[values.size() / 2]);
  }
  return medians;
}

}  // namespace tacit::bench
