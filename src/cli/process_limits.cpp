#include "cli/process_limits.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <thread>

namespace tacit::cli {
namespace {

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define TACIT_TRACED_BY_ITSELF 1  // the leak check at exit is a ptrace
#endif
#endif

}  // namespace

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
