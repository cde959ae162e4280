// TaskGroup: the only place where coroutines are started without being awaited on the spot.
#pragma once

#include <cstddef>
#include <memory>

#include "async/async.hpp"

namespace tacit::async {

// TaskGroup keeps count of the tasks of one shard. It refuses new work once closed, then waits for
// the leavers. Not thread-safe: use it on the shard of its executor. Destroying it with live tasks
// is a bug (checked).
class TaskGroup {
 public:
  explicit TaskGroup(asio::any_io_executor executor);
  ~TaskGroup();
  TaskGroup(const TaskGroup&) = delete;
  TaskGroup& operator=(const TaskGroup&) = delete;

  // Starts `task` and returns true; when closed, destroys it unstarted and returns false. An
  // exception that escapes a task is rethrown from the event loop (a bug).
  bool spawn(Task<> task);
  std::size_t num_running() const noexcept;
  // Refuses new tasks from now on.
  void close();
  // Asks every running task to stop: asio cancellation (terminal) is emitted to each.
  void cancel();
  // Waits until no task runs; new ones may be spawned meanwhile. False: `deadline` came first, or
  // the waiting coroutine was cancelled. One coroutine at a time.
  Task<bool> wait_until_idle(Deadline deadline);
  // close(), then waits for the running tasks; after `deadline`, cancel()s them and waits on.
  // The same when the joining coroutine is cancelled: its tasks are, and it waits for them.
  // Returns whether all left without being cancelled here.
  Task<bool> join(Deadline deadline);

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace tacit::async
