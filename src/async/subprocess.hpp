// Child processes with explicit descriptors; nothing else is inherited.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "async/async.hpp"
#include "core/unique_fd.hpp"

namespace tacit::async {

struct SpawnOptions {
  std::string program;                   // absolute path
  std::vector<std::string> arguments;    // argv[1..]
  std::vector<std::string> environment;  // "NAME=value"; nothing is inherited
  // Descriptors given to the child: entry i becomes descriptor 3+i. Standard input is /dev/null,
  // output and error go to ours. Every other descriptor is closed in the child.
  std::vector<int> descriptors;
  bool die_with_parent = true;  // SIGKILL when the spawning thread's process ends (Linux)
};

// ExitStatus of a child that ended.
struct ExitStatus {
  bool exited = false;  // else killed by `signal`
  int code = 0;
  int signal = 0;
};

// Subprocess is one child. Belongs to the shard that awaits it; kill() is thread-safe.
// Destroying it kills (SIGKILL) and reaps a child that still runs.
class Subprocess {
 public:
  // Errors: not_found, permission, io (with the limit to raise, when one was reached).
  static Result<std::unique_ptr<Subprocess>> spawn(asio::any_io_executor executor,
                                                   const SpawnOptions& options);
  virtual ~Subprocess() = default;
  virtual pid_t pid() const noexcept = 0;
  // Waits for the end; may be called again after it. Errors: deadline_exceeded, cancelled.
  virtual Async<ExitStatus> wait(Deadline deadline) = 0;
  virtual void kill(int signal) noexcept = 0;
};

}  // namespace tacit::async
