// How many threads compute a step fastest right now.
//
// The kernels' threads meet at a barrier hundreds of times per token and spin there. When another
// program takes one of their cores, every meeting waits for the scheduler, and two threads become
// ten times slower than one (measured: 84 tokens/s with one thread, 8 with two, on two cores with
// one busy neighbour). No fixed number is right, so the tuner measures: it uses what was fastest
// lately, tries the next smaller or larger number now and then, and at once when steps become slow.
//
// Sans-I/O and deterministic: time comes in as numbers. Steps of different batch sizes are not
// compared: each power of two has figures of its own, but a change of mind is told to all. Not
// thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace tacit::engine {

class ThreadTuner {
 public:
  // The candidates are threads_max and its halves, down to one.
  explicit ThreadTuner(std::uint32_t threads_max);

  // Threads for the next step, which computes `batch_tokens` tokens.
  std::uint32_t next(std::uint32_t batch_tokens);
  // How long that step took. Call once after each next().
  void record(double seconds);

 private:
  struct Bucket {
    std::vector<double> seconds;  // by candidate; smoothed; 0: not known
    std::size_t best = 0;         // candidate in use
    std::uint32_t steps = 0;      // since the last probe
    std::uint32_t interval = 1;   // steps before the next probe
    std::uint32_t probe_steps_left = 0;
    double probe_seconds = 0;  // spent on this probe
    std::uint32_t probe_steps = 0;
    std::size_t probe = 0;      // candidate being tried
    bool probe_larger = false;  // which neighbour is next
  };
  Bucket& bucket_of(std::uint32_t batch_tokens);
  void begin_probe(Bucket& bucket);
  void end_probe(Bucket& bucket);
  void adopt(std::size_t candidate);

  std::vector<std::uint32_t> candidates_;  // descending
  std::array<Bucket, 16> buckets_;
  Bucket* current_ = nullptr;
  std::size_t used_ = 0;
};

}  // namespace tacit::engine
