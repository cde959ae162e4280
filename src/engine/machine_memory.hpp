// How much memory a worker may take, so that a wish too large is an error of one model and not the
// kernel killing processes.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace tacit::engine {

// meminfo_free_bytes reads what /proc/meminfo says is available, swap included; nullopt when it
// says nothing of the kind.
std::optional<std::uint64_t> meminfo_free_bytes(std::string_view meminfo);

// usable_memory_bytes is nine tenths of what this process may still take now, by the machine and by
// its control groups (cgroup v2); the rest keeps the machine alive. 0 when unknown. Reads files.
std::uint64_t usable_memory_bytes();

}  // namespace tacit::engine
