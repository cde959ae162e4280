#include "cli/process_limits.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>

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

}  // namespace tacit::cli
