// ModelPool: names to running engine workers, loaded on demand, shared by all shards.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "async/runtime.hpp"
#include "core/log.hpp"
#include "domain/backend.hpp"
#include "engine/engine.hpp"
#include "gateway/metrics.hpp"
#include "registry/registry.hpp"

namespace tacit::gateway {

struct ModelPoolOptions {
  std::string program;               // the tacit binary, for workers
  std::uint32_t context_tokens = 0;  // as engine::WorkerOptions
  std::uint32_t sequences_max = 0;
  std::uint32_t threads = 0;
  engine::KvType kv_type = engine::KvType::f16;
  // GGUF files given by path; served under their stem.
  std::vector<std::filesystem::path> local_files;
  // What the server has promised to serve: SHA-256 (hex) by name. Nothing else is loaded then, and
  // no other weights under these names. nullopt: anything.
  std::optional<std::map<std::string, std::string, std::less<>>> promised;
};

// ModelPool's control runs on shard 0 of the runtime; each shard has a provider of its own, which
// finds loaded models without leaving the shard. The registry must outlive the pool and is used on
// shard 0 (and on the pool's own thread while weights are verified).
class ModelPool {
 public:
  ModelPool(async::Runtime& runtime, registry::Registry& registry, Logger& log,
            ModelPoolOptions options);
  ~ModelPool();
  ModelPool(const ModelPool&) = delete;
  ModelPool& operator=(const ModelPool&) = delete;

  // The provider of one shard; lives as long as the pool.
  domain::ModelProvider& provider(std::size_t shard_index);
  // For /metrics. Thread-safe.
  std::vector<ModelGauges> gauges() const;
  // Keeps the list of installed models fresh and notices dead workers; runs on shard 0 until
  // shut_down().
  Task<> housekeeping();
  // Refuses new work, drains every worker and ends it. On shard 0. May be awaited once.
  Task<> shut_down(Deadline deadline);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace tacit::gateway
