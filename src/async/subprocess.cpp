#include "async/subprocess.hpp"

#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <mutex>
#include <span>

#include "async/fd_wait.hpp"
#include "async/wait.hpp"

namespace tacit::async {

namespace {

// Everything the child needs, prepared by the parent: between vfork and exec nothing may allocate,
// lock or throw, for the child borrows the parent's memory.
struct ChildPlan {
  const char* program;
  char* const* arguments;
  char* const* environment;
  std::span<const int> descriptors;
  std::span<int> moved;  // scratch, one per descriptor
  int null_fd;
  int report_fd;  // gets errno when something fails; closed by a successful exec
  pid_t parent;
  int descriptors_max;
  bool die_with_parent;
};

void close_all_from(int first, int descriptors_max) noexcept {
  if (::syscall(SYS_close_range, static_cast<unsigned>(first), ~0U, 0U) == 0) return;
  for (int fd = first; fd < descriptors_max; ++fd) ::close(fd);
}

void reset_signals() noexcept {
  struct sigaction standard{};
  standard.sa_handler = SIG_DFL;
  for (int signal = 1; signal < NSIG; ++signal) (void)::sigaction(signal, &standard, nullptr);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

// Descriptor i becomes 3+i. First all move out of the way, then each to its place.
bool place_descriptors(const ChildPlan& plan) noexcept {
  const int count = static_cast<int>(plan.descriptors.size());
  const int beyond = 3 + count + 1;
  for (std::size_t i = 0; i < plan.descriptors.size(); ++i) {
    plan.moved[i] = ::fcntl(plan.descriptors[i], F_DUPFD_CLOEXEC, beyond);
    if (plan.moved[i] < 0) return false;
  }
  const int null_fd = ::fcntl(plan.null_fd, F_DUPFD_CLOEXEC, beyond);
  const int report = ::fcntl(plan.report_fd, F_DUPFD_CLOEXEC, beyond);
  if (null_fd < 0 || report < 0 || ::dup2(null_fd, STDIN_FILENO) < 0) return false;
  for (int i = 0; i < count; ++i) {
    if (::dup2(plan.moved[static_cast<std::size_t>(i)], 3 + i) < 0) return false;
  }
  if (::dup3(report, 3 + count, O_CLOEXEC) < 0) return false;
  close_all_from(beyond, plan.descriptors_max);
  return true;
}

[[noreturn]] void run_child(const ChildPlan& plan) noexcept {
  reset_signals();
  int report = plan.report_fd;
  bool ready = true;
  if (plan.die_with_parent) {
    ready = ::prctl(PR_SET_PDEATHSIG, SIGKILL) == 0;
    if (ready && ::getppid() != plan.parent) ::_exit(127);  // it died before we asked
  }
  if (ready && place_descriptors(plan)) {
    report = 3 + static_cast<int>(plan.descriptors.size());
    ::execve(plan.program, plan.arguments, plan.environment);
  }
  const int error = errno;
  (void)!::write(report, &error, sizeof error);
  ::_exit(127);
}

// Kept apart and never inlined: what vfork's child does to this frame, the parent sees.
[[gnu::noinline]] pid_t start_child(const ChildPlan& plan) noexcept {
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);  // no handler may run on borrowed memory
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wdeprecated-declarations"
  const pid_t pid = ::vfork();
#pragma clang diagnostic pop
  if (pid == 0) run_child(plan);
  const int error = errno;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return pid;
}

Error spawn_error(int error, const std::string& program) {
  const auto code = error == ENOENT || error == ENOTDIR ? Code::not_found
                    : error == EACCES || error == EPERM ? Code::permission
                                                        : Code::io;
  auto failure =
      Error{code, "cannot start a program"}.with("errno", error).about(PublicText{program});
  switch (error) {
    case EMFILE:
    case ENFILE: return std::move(failure).fix("Too many open files: raise the limit (ulimit -n)");
    case EAGAIN: return std::move(failure).fix("Too many processes: raise the limit (ulimit -u)");
    case ENOMEM: return std::move(failure).fix("Free memory, or raise the limit (ulimit -v)");
    default: return failure;
  }
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> out;
  out.reserve(strings.size() + 1);
  for (auto& text : strings) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

class Child final : public Subprocess {
 public:
  Child(const asio::any_io_executor& executor, pid_t pid) : pid_{pid}, wait_{executor} {
    UniqueFd fd{static_cast<int>(::syscall(SYS_pidfd_open, pid, 0U))};
    if (fd) has_pidfd_ = wait_.open(std::move(fd)).has_value();
  }
  ~Child() override {
    Child::kill(SIGKILL);
    reap(0);
  }

  pid_t pid() const noexcept override { return pid_; }

  void kill(int signal) noexcept override {
    const std::scoped_lock lock{mutex_};
    if (!reaped_) ::kill(pid_, signal);  // not reaped, so the number is still this child's
  }

  Async<ExitStatus> wait(Deadline deadline) override {
    constexpr Milliseconds kPoll{20};  // only where the kernel has no pidfd
    while (!reap(WNOHANG)) {
      if (has_pidfd_) {
        TACIT_CO_CHECK(
            co_await wait_.wait(FdWait::User::reader, FdWait::Event::wait_read, deadline));
      } else {
        if (deadline.passed(std::chrono::steady_clock::now())) {
          co_return fail(Code::deadline_exceeded, "deadline exceeded");
        }
        TACIT_CO_CHECK(co_await sleep_until(deadline.at_most(kPoll).when()));
      }
    }
    co_return status_;
  }

 private:
  // Whether the child has ended; collects its status once.
  bool reap(int flags) noexcept {
    const std::scoped_lock lock{mutex_};
    if (reaped_) return true;
    int raw = 0;
    pid_t got = 0;
    do {
      got = ::waitpid(pid_, &raw, flags);
    } while (got < 0 && errno == EINTR);
    if (got == 0) return false;
    reaped_ = true;
    status_ = {.exited = got > 0 && WIFEXITED(raw),
               .code = got > 0 && WIFEXITED(raw) ? WEXITSTATUS(raw) : 0,
               .signal = got > 0 && WIFSIGNALED(raw) ? WTERMSIG(raw) : 0};
    return true;
  }

  std::mutex mutex_;  // kill() may come from any thread
  pid_t pid_;
  FdWait wait_;
  bool has_pidfd_ = false;
  bool reaped_ = false;
  ExitStatus status_;
};

int max_descriptors() noexcept {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 65'536;
  return static_cast<int>(std::min<rlim_t>(limit.rlim_cur, 1'048'576));
}

}  // namespace

Result<std::unique_ptr<Subprocess>> Subprocess::spawn(asio::any_io_executor executor,
                                                      const SpawnOptions& options) {
  std::vector<std::string> arguments{options.program};
  arguments.insert(arguments.end(), options.arguments.begin(), options.arguments.end());
  auto environment = options.environment;
  const auto argument_pointers = pointers(arguments);
  const auto environment_pointers = pointers(environment);
  std::vector<int> moved(options.descriptors.size());

  const UniqueFd null_fd{::open("/dev/null", O_RDWR | O_CLOEXEC)};
  int ends[2] = {-1, -1};
  if (!null_fd || ::pipe2(ends, O_CLOEXEC) != 0) return fail(spawn_error(errno, options.program));
  const UniqueFd report_read{ends[0]};
  UniqueFd report_write{ends[1]};

  const ChildPlan plan{.program = options.program.c_str(),
                       .arguments = argument_pointers.data(),
                       .environment = environment_pointers.data(),
                       .descriptors = options.descriptors,
                       .moved = moved,
                       .null_fd = null_fd.get(),
                       .report_fd = report_write.get(),
                       .parent = ::getpid(),
                       .descriptors_max = max_descriptors(),
                       .die_with_parent = options.die_with_parent};
  const pid_t pid = start_child(plan);
  if (pid < 0) return fail(spawn_error(errno, options.program));
  report_write.reset();
  auto child = std::make_unique<Child>(executor, pid);
  int error = 0;
  ssize_t got = 0;
  do {
    got = ::read(report_read.get(), &error, sizeof error);
  } while (got < 0 && errno == EINTR);
  if (got == sizeof error) return fail(spawn_error(error, options.program));
  return child;
}

}  // namespace tacit::async
