// Waiting: sleep, and a wake-up signal between coroutines of one shard.
#pragma once

#include <functional>
#include <memory>

#include "async/async.hpp"

namespace tacit::async {

class LazyTimer;

// sleep_until waits on the calling coroutine's shard. Errors: cancelled.
Async<void> sleep_until(SteadyTime when);
inline Async<void> sleep_for(Nanoseconds wait) { return sleep_until(Deadline::after(wait).when()); }

// yield lets every other ready coroutine of the shard run once. For long loops that never wait.
Task<> yield();

// Signal wakes one waiter on the same shard. A notify() without a waiter is remembered (once).
// Not thread-safe. It must outlive its waiter.
class Signal {
 public:
  explicit Signal(asio::any_io_executor executor);
  ~Signal();
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;

  // Never resumes the waiter inside the call: it is queued behind the running coroutine.
  void notify();
  // A remembered notify() wins over a deadline that has passed and over a cancellation, so that no
  // wake-up is lost. Errors: deadline_exceeded; cancelled when the waiting coroutine is cancelled;
  // internal when somebody waits already.
  Async<void> wait(Deadline deadline);
  // The same for clean-up that must go on in a cancelled coroutine: never fails with cancelled.
  Async<void> wait_shielded(Deadline deadline);

 private:
  Async<void> wait_impl(Deadline deadline, bool shielded);
  void wake();

  asio::any_io_executor executor_;
  std::move_only_function<void()> resume_;  // set while somebody waits
  std::unique_ptr<LazyTimer> timer_;        // made at the first deadline
  SteadyTime deadline_ = SteadyTime::max();
  bool pending_ = false;
};

}  // namespace tacit::async
