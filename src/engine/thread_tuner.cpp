#include "engine/thread_tuner.hpp"

#include <algorithm>
#include <bit>

namespace tacit::engine {
namespace {

constexpr double kSmoothing = 0.3;  // weight of the newest step
constexpr double kWorthGrowing =
    0.95;                             // more threads must be this much faster; fewer, only as fast
constexpr double kSlow = 2.0;         // a step this many times slower than usual is suspicious
constexpr double kHopeless = 1.5;     // so much slower: no second try
constexpr double kProbeShare = 0.02;  // of the time may go into probes
constexpr std::uint32_t kProbeSteps = 2;
constexpr std::uint32_t kIntervalMin = 8;  // in steps
constexpr std::uint32_t kIntervalMax = 2048;

}  // namespace

ThreadTuner::ThreadTuner(std::uint32_t threads_max) {
  for (auto threads = std::max(1u, threads_max); threads > 0; threads /= 2) {
    candidates_.push_back(threads);
  }
  for (auto& bucket : buckets_) bucket.seconds.assign(candidates_.size(), 0);
}

ThreadTuner::Bucket& ThreadTuner::bucket_of(std::uint32_t batch_tokens) {
  const auto width = static_cast<std::size_t>(std::bit_width(batch_tokens));
  return buckets_[std::min(width, buckets_.size() - 1)];
}

// The neighbours of the best take turns.
void ThreadTuner::begin_probe(Bucket& bucket) {
  const bool can_grow = bucket.best > 0;
  const bool can_shrink = bucket.best + 1 < candidates_.size();
  const bool grow = can_grow && (bucket.probe_larger || !can_shrink);
  bucket.probe_larger = !grow;
  bucket.probe = grow ? bucket.best - 1 : bucket.best + 1;
  bucket.probe_steps_left = kProbeSteps;
  bucket.probe_steps = 0;
  bucket.probe_seconds = 0;
  bucket.seconds[bucket.probe] = 0;  // what was true some time ago does not count
}

void ThreadTuner::end_probe(Bucket& bucket) {
  bucket.steps = 0;
  const double best = bucket.seconds[bucket.best];
  const double worth = bucket.probe < bucket.best ? best * kWorthGrowing : best;
  if (bucket.seconds[bucket.probe] <= worth) {
    adopt(bucket.probe);
    return;
  }
  const double extra = bucket.probe_seconds - best * bucket.probe_steps;
  const double steps = std::max(0.0, extra) / (kProbeShare * best);
  bucket.interval = std::clamp(static_cast<std::uint32_t>(std::min(steps, double{kIntervalMax})),
                               kIntervalMin, kIntervalMax);
}

// What is better for one size of batch is the first guess for all.
void ThreadTuner::adopt(std::size_t candidate) {
  for (auto& bucket : buckets_) {
    bucket.best = candidate;
    bucket.interval = kIntervalMin;
    bucket.probe_steps_left = 0;
  }
}

std::uint32_t ThreadTuner::next(std::uint32_t batch_tokens) {
  current_ = &bucket_of(batch_tokens);
  auto& bucket = *current_;
  const bool due = bucket.steps >= bucket.interval && bucket.seconds[bucket.best] > 0;
  if (candidates_.size() > 1 && bucket.probe_steps_left == 0 && due) begin_probe(bucket);
  used_ = bucket.probe_steps_left > 0 ? bucket.probe : bucket.best;
  return candidates_[used_];
}

void ThreadTuner::record(double seconds) {
  auto& bucket = *current_;
  auto& smoothed = bucket.seconds[used_];
  if (bucket.probe_steps_left > 0) {
    // The better of the tries: a number of threads is judged by what it can do.
    smoothed = smoothed == 0 ? seconds : std::min(smoothed, seconds);
    bucket.probe_seconds += seconds;
    ++bucket.probe_steps;
    const bool hopeless = seconds > bucket.seconds[bucket.best] * kHopeless;
    bucket.probe_steps_left = hopeless ? 0 : bucket.probe_steps_left - 1;
    if (bucket.probe_steps_left == 0) end_probe(bucket);
    return;
  }
  const bool slow = smoothed > 0 && seconds > smoothed * kSlow;
  smoothed = smoothed == 0 ? seconds : smoothed + kSmoothing * (seconds - smoothed);
  ++bucket.steps;
  if (slow && candidates_[used_] > 1)
    bucket.steps = bucket.interval;  // something changed: look now
}

}  // namespace tacit::engine
