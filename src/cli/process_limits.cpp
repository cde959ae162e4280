#include "cli/process_limits.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>

namespace tacit::cli {
namespace {

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TACIT_TRACED_BY_ITSELF 1  // the leak check at exit is a ptrace
#endif
#endif

constexpr unsigned kIpcLock = 14;  // CAP_IPC_LOCK, capabilities(7)

// The last word of the first line of `file` that begins with `name`; empty when there is none.
std::string proc_value(const char* file, std::string_view name) {
  std::ifstream in{file};
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with(name)) return line.substr(line.find_last_of(" \t") + 1);
  }
  return {};
}

bool may_lock_all() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY) return true;
  const auto capabilities = proc_value("/proc/self/status", "CapEff:");
  return (std::strtoull(capabilities.c_str(), nullptr, 16) >> kIpcLock & 1) != 0;
}

// More than the heading: some swap is in use.
bool has_swap() {
  std::ifstream in{"/proc/swaps"};
  std::string line;
  return std::getline(in, line) && std::getline(in, line);
}

MemoryLock without_lock() { return has_swap() ? MemoryLock::unlocked : MemoryLock::no_swap; }

}  // namespace

MemoryLock lock_memory() noexcept {
#ifndef TACIT_TRACED_BY_ITSELF  // sanitizers map more than any machine has
  if (may_lock_all() && ::mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0) {
    return MemoryLock::locked;
  }
#endif
  return without_lock();
}

MemoryLock probe_memory_lock() noexcept {
  return may_lock_all() ? MemoryLock::locked : without_lock();
}

void forbid_core_dumps() noexcept {
  // Either would do for a file; where dumps go to a program, only the second counts.
  const rlimit none{0, 0};
  (void)::setrlimit(RLIMIT_CORE, &none);
#ifndef TACIT_TRACED_BY_ITSELF
  (void)::prctl(PR_SET_DUMPABLE, 0);
#endif
}

void take_file_limit_as_error() noexcept { (void)std::signal(SIGXFSZ, SIG_IGN); }

void open_standard_descriptors() noexcept {
  // The lowest free number is taken, so that going upwards each lands in its place.
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(fd, F_GETFD) < 0) (void)::open("/dev/null", O_RDWR);
  }
}

std::size_t raise_descriptor_limit(std::size_t wanted) noexcept {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  if (limit.rlim_cur < wanted) {
    auto raised = limit;
    raised.rlim_cur = std::min<rlim_t>(wanted, limit.rlim_max);
    if (::setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  }
  return static_cast<std::size_t>(limit.rlim_cur);
}

Result<void> need_descriptors(std::size_t shards) {
  constexpr std::size_t kOwn = 24;  // files, a worker's sockets, what libraries hold
  constexpr std::size_t kPerShard = 5;
  if (shards == 0) shards = std::max(1U, std::thread::hardware_concurrency());
  const auto needed = kOwn + kPerShard * shards;
  const auto limit = raise_descriptor_limit(needed);
  if (limit >= needed) return {};
  return fail(Error{Code::io, "the limit on open files is too low"}
                  .with("limit", static_cast<std::int64_t>(limit))
                  .with("needed", static_cast<std::int64_t>(needed))
                  .fix("Raise it (ulimit -n 1024)"));
}

}  // namespace tacit::cli
