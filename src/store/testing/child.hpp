// Runs a function in a child process, for tests about crashes, limits and users. For tests only.
#pragma once

#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <utility>

namespace tacit::store::testing {

// Child runs `body` in a forked process, whose exit code is what it returns. The destructor kills
// and reaps it.
class Child {
 public:
  explicit Child(const std::function<int()>& body) : pid_{::fork()} {
    if (pid_ == 0) ::_exit(body());
    if (pid_ < 0) std::abort();
  }
  ~Child() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      wait();
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void kill() noexcept { ::kill(pid_, SIGKILL); }
  // The exit code, or minus the signal's number.
  int wait() noexcept {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) continue;
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }

 private:
  pid_t pid_;
};

inline int in_child(const std::function<int()>& body) { return Child{body}.wait(); }

}  // namespace tacit::store::testing
