// What the kernel is told about this process before it does anything.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/error.hpp"

namespace tacit::cli {

// forbid_core_dumps: the memory of this process may hold prompts and keys, so it is never written
// to a file, nor shown to other processes of the same user (ptrace, /proc/PID/mem). Call it first
// of all.
void forbid_core_dumps() noexcept;

// Whether pages of this process may be written to swap.
enum class MemoryLock : std::uint8_t {
  locked,    // no
  no_swap,   // not locked, but this machine has no swap
  unlocked,  // yes: neither the limit on locked memory nor the capability allows locking
};

// lock_memory keeps everything that this process touches from now on out of swap, where prompts and
// keys would outlive it, if the limit (ulimit -l) is off or the process has CAP_IPC_LOCK. With a
// limit nothing is locked: the first page beyond it would end the process. Child processes are on
// their own.
MemoryLock lock_memory() noexcept;
// What lock_memory() would return; nothing is changed.
MemoryLock probe_memory_lock() noexcept;

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
