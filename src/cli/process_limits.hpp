// What the kernel is told about this process before it does anything.
#pragma once

#include <cstddef>

#include "core/error.hpp"

namespace tacit::cli {

// forbid_core_dumps: the memory of this process may hold prompts and keys, so it is never written
// to a file, nor shown to other processes of the same user (ptrace, /proc/PID/mem). Call it first
// of all.
void forbid_core_dumps() noexcept;

// take_file_limit_as_error makes a write beyond the limit on file sizes (ulimit -f) fail with
// EFBIG, for which there are words, instead of killing the process.
void take_file_limit_as_error() noexcept;

// open_standard_descriptors puts /dev/null where standard input, output or error are closed: else
// the next socket or file would get their number, and logs and answers would be written into it.
void open_standard_descriptors() noexcept;

// raise_descriptor_limit lifts the soft limit of open files towards `wanted`, as far as the hard
// limit allows: login sessions start with 1024. Returns the limit that holds now.
std::size_t raise_descriptor_limit(std::size_t wanted) noexcept;

// need_descriptors checks that `shards` event loops and a worker can have the descriptors that they
// need before anybody connects; the soft limit is raised for it. Call it before the event loops are
// made, which cannot fail in words. Errors: io (limit and need).
Result<void> need_descriptors(std::size_t shards);

}  // namespace tacit::cli
