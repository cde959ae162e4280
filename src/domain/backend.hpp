// Backend: whatever can answer a generation request: an engine worker, later an upstream.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "async/async.hpp"
#include "domain/event.hpp"
#include "domain/request.hpp"

namespace tacit::domain {

// ModelInfo is what may be told about a loaded model.
struct ModelInfo {
  std::string name;    // "smollm2:135m"
  std::string digest;  // "sha256:<hex>" of the weights
  std::uint64_t size_bytes = 0;
  std::uint32_t context_tokens_max = 0;
  Sampling defaults = {};  // what its publisher recommends; requests that say nothing get it
};

// Generation is one running request. It belongs to the shard that started it. Destroying it before
// its last event cancels the work within one token and frees what it held.
class Generation {
 public:
  virtual ~Generation() = default;
  // Waits for at least one event and returns all that are ready (in order, bounded in number). The
  // batch whose last element is_last() ends the stream; next() may not be called after it. A
  // consumer that does not call next() stops the generation after a bounded number of tokens
  // (back-pressure). Errors: deadline_exceeded, cancelled: the consumer's own waiting ended, not
  // the generation.
  virtual Async<EventBatch> next(Deadline deadline) = 0;
};

// Backend belongs to one shard.
class Backend {
 public:
  virtual ~Backend() = default;
  virtual const ModelInfo& model() const = 0;
  // Starts a generation, which is given up at `deadline` (Failed: deadline_exceeded). Refusals
  // known at once (queue full, draining, worker gone) are errors here: overloaded, shutting_down,
  // worker_lost. Later ones (prompt too long) come as Failed.
  virtual Async<std::unique_ptr<Generation>> generate(GenerateRequest request,
                                                      Deadline deadline) = 0;
};

// ModelProvider finds or loads the model that a request names. Belongs to one shard.
class ModelProvider {
 public:
  virtual ~ModelProvider() = default;
  // Waits while a model loads. The backend stays usable while it is held. Errors: not_found (named,
  // with the fix), overloaded, unavailable (worker would not start), deadline_exceeded, cancelled.
  virtual Async<std::shared_ptr<Backend>> acquire(std::string name, Deadline deadline) = 0;
  // Every model that acquire() would find, loaded or not.
  virtual std::vector<ModelInfo> list() = 0;
};

}  // namespace tacit::domain
