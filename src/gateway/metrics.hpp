// Metrics in Prometheus text format under vLLM's names, so that existing dashboards work.
// Counts, codes and public names only; never content, never who.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "core/time.hpp"

namespace tacit::gateway {

// Counter and Histogram have one writer (their shard); readers may be on other threads.
class Counter {
 public:
  void add(std::uint64_t n = 1) noexcept {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  std::uint64_t value() const noexcept { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// Histogram of seconds over fixed buckets.
class Histogram {
 public:
  static constexpr std::array<double, 16> kBounds{
      0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120};
  void observe(Nanoseconds duration) noexcept;
  std::array<Counter, kBounds.size() + 1> buckets;  // the last is +Inf; not cumulative
  Counter sum_ns;
};

enum class Outcome : std::uint8_t { stop, length, abort, error };

// ModelSeries is what one shard counts for one model.
struct ModelSeries {
  Counter prompt_tokens;
  Counter generation_tokens;
  std::array<Counter, 4> requests;  // by Outcome
  Histogram time_to_first_token;
  Histogram inter_token_latency;
  Histogram e2e_latency;
};

// ShardMetrics belongs to one shard.
class ShardMetrics {
 public:
  // The series of a model, made when first asked for. `model` must be a resolved, public name.
  ModelSeries& model(const std::string& model);
  Counter requests_by_status[6];  // index: status / 100
  Counter unknown_fields;
  Counter auth_failures;

 private:
  friend class Metrics;
  std::mutex insert_mutex_;  // taken to insert and to render, never to count
  std::map<std::string, std::unique_ptr<ModelSeries>> models_;
};

// Gauges are read when rendering.
struct ModelGauges {
  std::string model;
  std::uint32_t running = 0;
  std::uint32_t waiting = 0;
  double kv_cache_usage = 0;
};

class Metrics {
 public:
  explicit Metrics(std::size_t num_shards);
  ShardMetrics& shard(std::size_t index) noexcept { return *shards_[index]; }
  // The whole exposition, version 0.0.4. Thread-safe.
  std::string render(const std::vector<ModelGauges>& gauges, std::size_t open_connections) const;

 private:
  std::vector<std::unique_ptr<ShardMetrics>> shards_;
};

}  // namespace tacit::gateway
