#include "engine/sandbox.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <memory>

#include "core/unique_fd.hpp"

namespace tacit::engine {
namespace {

// Landlock's later ABIs, by value: the system's header may be older than the kernel.
// https://docs.kernel.org/userspace-api/landlock.html
struct LandlockRuleset {
  std::uint64_t handled_access_fs = 0;
  std::uint64_t handled_access_net = 0;  // ABI 4
  std::uint64_t scoped = 0;              // ABI 6
};
constexpr long kLandlockCreateRuleset = 444;
constexpr long kLandlockRestrictSelf = 446;
constexpr std::uint64_t kNetBindTcp = 1, kNetConnectTcp = 2;
constexpr std::uint64_t kScopeAbstractUnixSocket = 1, kScopeSignal = 2;

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || \
    __has_feature(undefined_behavior_sanitizer)
#define TACIT_UNDER_SANITIZER 1
#endif
#endif
#ifdef TACIT_UNDER_SANITIZER
// Its runtime probes memory through pipes, and may have a thread of its own.
constexpr bool kUnderSanitizer = true;
#else
constexpr bool kUnderSanitizer = false;
#endif

int landlock_abi() noexcept {
  const auto abi =
      ::syscall(kLandlockCreateRuleset, nullptr, 0, 1u /* LANDLOCK_CREATE_RULESET_VERSION */);
  return abi < 0 ? 0 : static_cast<int>(abi);
}

std::uint64_t landlock_fs_rights(int abi) noexcept {
  std::uint64_t rights = (1ull << 13) - 1;  // ABI 1: execute to make_sym
  if (abi >= 2) rights |= 1ull << 13;       // refer
  if (abi >= 3) rights |= 1ull << 14;       // truncate
  if (abi >= 5) rights |= 1ull << 15;       // ioctl_dev
  return rights;
}

// A ruleset that handles every right and allows none: there is no path left.
bool restrict_with_landlock(int abi) noexcept {
  LandlockRuleset rules{.handled_access_fs = landlock_fs_rights(abi)};
  std::size_t size = sizeof rules.handled_access_fs;
  if (abi >= 4) {
    rules.handled_access_net = kNetBindTcp | kNetConnectTcp;
    size = offsetof(LandlockRuleset, scoped);
  }
  if (abi >= 6) {
    rules.scoped = kScopeAbstractUnixSocket | kScopeSignal;
    size = sizeof rules;
  }
  const UniqueFd ruleset{static_cast<int>(::syscall(kLandlockCreateRuleset, &rules, size, 0u))};
  return ruleset && ::syscall(kLandlockRestrictSelf, ruleset.get(), 0u) == 0;
}

bool limit_resource(__rlimit_resource_t resource, rlim_t value) noexcept {
  const rlimit limit{value, value};
  return ::setrlimit(resource, &limit) == 0;
}

bool limit_resources(const SandboxOptions& options) noexcept {
  bool ok = limit_resource(RLIMIT_CORE, 0) && limit_resource(RLIMIT_FSIZE, 0) &&
            limit_resource(RLIMIT_NOFILE, options.descriptors_max);
  if (options.data_bytes_max > 0 && !kUnderSanitizer) {
    ok = ok && limit_resource(RLIMIT_DATA, options.data_bytes_max);
  }
  if (options.memory_bytes_max > 0) ok = ok && limit_resource(RLIMIT_AS, options.memory_bytes_max);
  return ok;
}

// Number of threads of this process, read before the walls stand; 0 when unknown.
int num_threads() noexcept {
  const std::unique_ptr<DIR, int (*)(DIR*)> tasks{::opendir("/proc/self/task"), ::closedir};
  if (!tasks) return 0;
  int n = 0;
  while (const auto* entry = ::readdir(tasks.get())) {
    if (entry->d_name[0] != '.') ++n;
  }
  return n;
}

using Filter = std::unique_ptr<void, void (*)(scmp_filter_ctx)>;

bool allow(const Filter& filter, int call) noexcept {
  return ::seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, call, 0) == 0;
}
bool allow_if(const Filter& filter, int call, scmp_arg_cmp condition) noexcept {
  return ::seccomp_rule_add_array(filter.get(), SCMP_ACT_ALLOW, call, 1, &condition) == 0;
}

scmp_arg_cmp equals(unsigned argument, scmp_datum_t value) noexcept {
  return {.arg = argument, .op = SCMP_CMP_EQ, .datum_a = value, .datum_b = 0};
}
// The bits of `mask` in the argument are those of `value`.
scmp_arg_cmp masked(unsigned argument, scmp_datum_t mask, scmp_datum_t value) noexcept {
  return {.arg = argument, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = value};
}

bool allow_plain_calls(const Filter& filter) noexcept {
  for (const int call : {
           // The descriptors that are there.
           SCMP_SYS(read),
           SCMP_SYS(write),
           SCMP_SYS(readv),
           SCMP_SYS(writev),
           SCMP_SYS(pread64),
           SCMP_SYS(lseek),
           SCMP_SYS(close),
           SCMP_SYS(fstat),
           SCMP_SYS(poll),
           SCMP_SYS(ppoll),
           SCMP_SYS(fadvise64),
           SCMP_SYS(recvfrom),
           SCMP_SYS(shutdown),
           // Memory; executable memory is refused below.
           SCMP_SYS(brk),
           SCMP_SYS(munmap),
           SCMP_SYS(mremap),
           SCMP_SYS(madvise),
           SCMP_SYS(membarrier),
           // Threads.
           SCMP_SYS(futex),
           SCMP_SYS(set_robust_list),
           SCMP_SYS(get_robust_list),
           SCMP_SYS(rseq),
           SCMP_SYS(set_tid_address),
           SCMP_SYS(gettid),
           SCMP_SYS(getpid),
           SCMP_SYS(getcpu),
           SCMP_SYS(sched_yield),
           SCMP_SYS(sched_getaffinity),
           SCMP_SYS(sched_setaffinity),
           SCMP_SYS(sched_getparam),
           SCMP_SYS(sched_getscheduler),
           SCMP_SYS(sched_get_priority_max),
           SCMP_SYS(sched_get_priority_min),
           SCMP_SYS(exit),
           SCMP_SYS(exit_group),
           SCMP_SYS(restart_syscall),
           // Signals of our own.
           SCMP_SYS(rt_sigaction),
           SCMP_SYS(rt_sigprocmask),
           SCMP_SYS(rt_sigreturn),
           SCMP_SYS(sigaltstack),
           // Time, randomness, accounting.
           SCMP_SYS(clock_gettime),
           SCMP_SYS(clock_getres),
           SCMP_SYS(clock_nanosleep),
           SCMP_SYS(nanosleep),
           SCMP_SYS(gettimeofday),
           SCMP_SYS(time),
           SCMP_SYS(getrandom),
           SCMP_SYS(getrusage),
           SCMP_SYS(sysinfo),
           SCMP_SYS(uname),
           SCMP_SYS(getuid),
           SCMP_SYS(geteuid),
           SCMP_SYS(getgid),
           SCMP_SYS(getegid),
       }) {
    if (!allow(filter, call)) return false;
  }
  return true;
}

bool allow_checked_calls(const Filter& filter) noexcept {
  constexpr std::uint64_t kThread =
      CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD;
  constexpr std::uint64_t kNamespaces = CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                        CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWNS;
  const auto self = static_cast<scmp_datum_t>(::getpid());
  bool ok = allow_if(filter, SCMP_SYS(mmap), masked(2, PROT_EXEC, 0)) &&
            allow_if(filter, SCMP_SYS(mprotect), masked(2, PROT_EXEC, 0)) &&
            // Threads yes, processes and namespaces no.
            allow_if(filter, SCMP_SYS(clone), masked(0, kThread | kNamespaces, kThread)) &&
            allow_if(filter, SCMP_SYS(tgkill), equals(0, self)) &&
            // A send on a connected socket; no address, so nobody else.
            allow_if(filter, SCMP_SYS(sendto), equals(4, 0)) &&
            allow_if(filter, SCMP_SYS(newfstatat), equals(3, AT_EMPTY_PATH)) &&
            // Limits may be read.
            allow_if(filter, SCMP_SYS(prlimit64), equals(2, 0));
  for (const int command : {F_GETFL, F_SETFL, F_GETFD}) {
    ok = ok && allow_if(filter, SCMP_SYS(fcntl), equals(1, static_cast<scmp_datum_t>(command)));
  }
  for (const int option : {PR_SET_NAME, PR_GET_NAME, 0x53564d41 /* PR_SET_VMA */}) {
    ok = ok && allow_if(filter, SCMP_SYS(prctl), equals(0, static_cast<scmp_datum_t>(option)));
  }
  if (kUnderSanitizer) ok = ok && allow(filter, SCMP_SYS(pipe)) && allow(filter, SCMP_SYS(pipe2));
  return ok && ::seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0;
}

bool restrict_with_seccomp() noexcept {
  const Filter filter{::seccomp_init(SCMP_ACT_ERRNO(EPERM)), ::seccomp_release};
  if (!filter) return false;
  return allow_plain_calls(filter) && allow_checked_calls(filter) &&
         ::seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2) == 0 &&
         ::seccomp_load(filter.get()) == 0;
}

bool kernel_has_seccomp() noexcept {
  // EFAULT: the filter pointer was looked at, so filters are offered. Nothing is installed.
  return ::prctl(PR_SET_SECCOMP, 2 /* SECCOMP_MODE_FILTER */, nullptr, 0, 0) == -1 &&
         errno == EFAULT;
}

}  // namespace

SandboxReport probe_sandbox() noexcept {
  SandboxReport report;
  report.landlock_abi = landlock_abi();
  report.seccomp = kernel_has_seccomp();
  report.no_new_privileges = ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) >= 0;
  report.resource_limits = true;
  report.core_dumps_off = ::prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) >= 0;
  return report;
}

void close_stray_descriptors(int first) noexcept {
  if (::syscall(SYS_close_range, static_cast<unsigned>(first), ~0u, 0u) == 0) return;
  const auto last = ::sysconf(_SC_OPEN_MAX);
  for (int fd = first; fd < (last > 0 ? last : 65'536); ++fd) ::close(fd);
}

Result<SandboxReport> enter_sandbox(const SandboxOptions& options) noexcept {
  const auto broken = [](std::int64_t wall) {
    return fail(Error{Code::internal, "sandbox could not be entered"}.with("wall", wall));
  };
  if (!kUnderSanitizer && num_threads() > 1) return broken(0);
  SandboxReport report;
  const auto offered = probe_sandbox();
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return broken(1);
  report.no_new_privileges = true;
  if (!limit_resources(options)) return broken(2);
  report.resource_limits = true;
  if (::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0) return broken(3);
  report.core_dumps_off = true;
  if (options.use_landlock && offered.landlock_abi > 0) {
    if (!restrict_with_landlock(offered.landlock_abi)) return broken(4);
    report.landlock_abi = offered.landlock_abi;
  }
  if (options.use_seccomp && offered.seccomp) {
    if (!restrict_with_seccomp()) return broken(5);
    report.seccomp = true;
  }
  return report;
}

}  // namespace tacit::engine
