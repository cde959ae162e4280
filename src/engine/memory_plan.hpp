// How much memory a model will take, from its header alone: before a byte of its weights is read.
//
// The figures are what the worker's memory grows to when all slots are full and the widest batch
// has been computed; within 10 % of what is then resident (see memory_plan_test.cpp, test_plan.py).
#pragma once

#include <cstdint>
#include <string>

#include "core/error.hpp"
#include "engine/engine.hpp"

namespace tacit::formats {
struct GgufFile;
}

namespace tacit::engine {

struct PlanOptions {
  std::uint32_t context_tokens = 0;  // per sequence; 0: chosen
  std::uint32_t sequences_max = 0;   // 0: chosen
  KvType kv_type = KvType::f16;
  std::uint64_t memory_bytes = 0;  // that may be used; 0: unknown, anything fits
};

struct MemoryPlan {
  std::string architecture;
  std::uint32_t context_tokens = 0;  // per sequence
  std::uint32_t sequences = 0;
  std::uint64_t weights_bytes = 0;
  std::uint64_t kv_bytes = 0;  // of all sequences
  std::uint64_t kv_bytes_per_token = 0;
  std::uint64_t compute_bytes = 0;     // the widest batch, and the logits
  std::uint64_t process_bytes = 0;     // the program, the vocabulary, the chat template
  std::uint64_t embeddings_bytes = 0;  // a second context, made at the first embedding
  std::uint64_t memory_bytes = 0;      // that may be used; 0: unknown

  // Without embeddings, which a server may never be asked for.
  std::uint64_t total_bytes() const noexcept {
    return weights_bytes + kv_bytes + compute_bytes + process_bytes;
  }
  bool fits() const noexcept { return memory_bytes == 0 || total_bytes() <= memory_bytes; }
};

// plan_memory is a pure function. What is not told is chosen: 8 sequences of the model's context,
// at most 4096 tokens; then fewer sequences and a shorter context until it fits. Errors: malformed
// (the header lacks what its architecture needs), too_large (it does not fit; both figures).
Result<MemoryPlan> plan_memory(const formats::GgufFile& header, const PlanOptions& options);

// Says that a plan does not fit, with both figures (too_large).
Error does_not_fit(const MemoryPlan& plan);

// Reads the header of an open GGUF file, and what memory there is. Errors: those of
// formats::read_gguf. A plan that does not fit is no error here: see fits().
Result<MemoryPlan> plan_file(int fd, const PlanOptions& options);

}  // namespace tacit::engine
