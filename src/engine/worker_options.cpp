#include "engine/worker_options.hpp"

#include <limits>

#include "core/text.hpp"

namespace tacit::engine {
namespace {

constexpr std::uint32_t kShardsMax = 1024;

std::unexpected<Error> invalid() {
  return fail(Code::invalid_argument, "worker arguments are invalid");
}

}  // namespace

std::vector<std::string> format_worker_arguments(const WorkerArguments& a) {
  std::vector<std::string> out;
  const auto add = [&out](const char* name, std::uint64_t value) {
    out.emplace_back(name);
    out.push_back(std::to_string(value));
  };
  add("--shards", a.shards);
  add("--context", a.context_tokens);
  add("--sequences", a.sequences_max);
  add("--queue", a.queue_max);
  add("--threads", a.threads);
  add("--kv-type", static_cast<std::uint64_t>(a.kv_type));
  add("--memory", a.memory_bytes_max);
  if (a.sandbox_selftest) out.emplace_back("--sandbox-selftest");
  return out;
}

Result<WorkerArguments> parse_worker_arguments(const std::vector<std::string>& arguments) {
  WorkerArguments out;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const auto& name = arguments[i];
    if (name == "--sandbox-selftest") {
      out.sandbox_selftest = true;
      continue;
    }
    if (++i == arguments.size()) return invalid();
    const auto value = parse_u64(arguments[i]);
    if (!value) return invalid();
    if (name == "--memory") {
      out.memory_bytes_max = *value;
      continue;
    }
    if (*value > std::numeric_limits<std::uint32_t>::max()) return invalid();
    const auto small = static_cast<std::uint32_t>(*value);
    if (name == "--shards")
      out.shards = small;
    else if (name == "--context")
      out.context_tokens = small;
    else if (name == "--sequences")
      out.sequences_max = small;
    else if (name == "--queue")
      out.queue_max = small;
    else if (name == "--threads")
      out.threads = small;
    else if (name == "--kv-type" && small <= static_cast<std::uint32_t>(KvType::q4_0))
      out.kv_type = static_cast<KvType>(small);
    else
      return invalid();
  }
  if (out.shards == 0 || out.shards > kShardsMax) return invalid();
  return out;
}

}  // namespace tacit::engine
