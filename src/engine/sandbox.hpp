// The walls around a worker, entered before the first byte of a model file is read.
//
// What comes in comes by inherited descriptor (the weights, one socket per shard); afterwards the
// process can read and write those, use memory and threads, and nothing else:
//
//   no_new_privs      no set-user-id program can give anything back
//   resource limits   no core dump, no file growth, no descriptors beyond those open, memory if
//   asked not dumpable      no ptrace and no /proc/<pid>/mem by others of the same user Landlock no
//   path can be opened, made, renamed or executed; no TCP bind or connect (ABI 4);
//                     no abstract Unix socket or signal outside (ABI 6)
//   seccomp           an allow-list of system calls; everything else fails with EPERM, so that a
//   library's
//                     probing call is an ordinary failure and not the end of the service; clone3
//                     fails with ENOSYS, so that glibc makes threads with clone, whose flags can be
//                     checked
//
// One deliberate remainder: newfstatat with AT_EMPTY_PATH is allowed (fstat is built on it), and
// seccomp cannot see its path, so a worker can ask whether a path exists. It cannot open it.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/error.hpp"
#include "engine/sandbox_report.hpp"

namespace tacit::engine {

struct SandboxOptions {
  std::uint64_t memory_bytes_max = 0;  // address space; 0: no limit
  // Memory of its own (heap, stacks, private mappings; not the weights); 0: no limit. Ignored in
  // builds with a sanitizer, whose shadow memory counts.
  std::uint64_t data_bytes_max = 0;
  unsigned descriptors_max = 64;  // RLIMIT_NOFILE
  bool use_landlock = true;       // tests take one wall away to see that the other stands alone
  bool use_seccomp = true;
};

// close_stray_descriptors closes every descriptor from `first` on.
void close_stray_descriptors(int first) noexcept;

// enter_sandbox puts the walls up around this process. Call it once, while there is one thread only
// (checked: Landlock holds for the calling thread and the threads it starts later). Walls that the
// kernel does not have are missing from the report. Errors: internal "sandbox could not be entered"
// when a wall that the kernel has cannot be put up: do not go on then.
Result<SandboxReport> enter_sandbox(const SandboxOptions& options) noexcept;

// Escape is one attempt to get out, as made by the self-test.
struct Escape {
  std::string_view name;  // "socket"
  bool denied = false;
  int error = 0;  // errno
};
// try_to_escape tries to open a socket, read and write files, run programs, make processes, trace
// and signal the parent, map executable memory... and reports each. Changes nothing when the walls
// stand.
std::vector<Escape> try_to_escape();

}  // namespace tacit::engine
