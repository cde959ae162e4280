// The arguments between Worker::start and worker_main.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "engine/engine.hpp"

namespace tacit::engine {

inline constexpr int kWeightsDescriptor = 3;
inline constexpr int kControlDescriptor = 4;
inline constexpr int kFirstDataDescriptor = 5;

struct WorkerArguments {
  std::uint32_t shards = 1;  // data sockets
  std::uint32_t context_tokens = 0;
  std::uint32_t sequences_max = 0;
  std::uint32_t queue_max = 1024;
  std::uint32_t threads = 0;
  KvType kv_type = KvType::f16;
  std::uint64_t memory_bytes_max = 0;
  bool sandbox_selftest = false;  // load, try to escape, print what happened, end
  bool operator==(const WorkerArguments&) const = default;
};

std::vector<std::string> format_worker_arguments(const WorkerArguments& arguments);
// Errors: invalid_argument.
Result<WorkerArguments> parse_worker_arguments(const std::vector<std::string>& arguments);

}  // namespace tacit::engine
