// One loaded model: llama.cpp behind an interface of ours. No type of llama.cpp leaves the .cpp
// files.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/unique_fd.hpp"
#include "domain/request.hpp"
#include "engine/engine.hpp"
#include "engine/scheduler.hpp"

namespace tacit::engine {

struct ModelOptions {
  std::uint32_t context_tokens = 0;  // per sequence; 0: chosen, see memory_plan.hpp
  std::uint32_t sequences_max = 0;   // likewise
  std::uint64_t memory_bytes = 0;    // that may be used; 0: unknown
  std::uint32_t threads = 1;         // at most; fewer when fewer are faster (see thread_tuner.hpp)
  KvType kv_type = KvType::f16;
  bool tune_threads = false;  // off: exactly `threads`
};

// initialize_llama sets up llama.cpp's process-wide state and silences its log, which may carry
// content. Call once, before the sandbox and before any load.
void initialize_llama();
// Cores that are worth computing on; reads /sys, so call it before the sandbox.
std::uint32_t default_threads();

// Model computes batches for the scheduler (one thread), and makes prompts of requests (any one
// other thread at the same time).
class Model : public StepModel {
 public:
  // Loads from an open GGUF file; no path is opened. Errors: malformed or unsupported (what is
  // wrong with the file), too_large (memory), io, unavailable.
  static Result<std::unique_ptr<Model>> load(UniqueFd weights, const ModelOptions& options);

  virtual std::uint64_t size_bytes() const noexcept = 0;
  // Renders the model's chat template, tokenises, and sets up sampling. Errors: invalid_argument
  // (the template refused, a schema is not understood), context_exceeded (both numbers; "tokens" is
  // a lower bound for prompts that are far too long), too_large, internal.
  virtual Result<Prompt> prepare(domain::GenerateRequest request) = 0;
  // The embedding of a prompt; on the computing thread. What it needs is made at the first call.
  // Errors: context_exceeded (both numbers), too_large (memory), internal.
  virtual Result<std::vector<float>> embed(std::span<const Token> tokens) = 0;
};

}  // namespace tacit::engine
