// Waiting: sleep, and a wake-up signal between coroutines of one shard.
#pragma once

#include <boost/asio/steady_timer.hpp>

#include "async/async.hpp"

namespace tacit::async {

// sleep_until waits on the calling coroutine's shard. Errors: cancelled.
Async<void> sleep_until(SteadyTime when);
inline Async<void> sleep_for(Nanoseconds wait) { return sleep_until(Deadline::after(wait).when()); }

// Signal wakes one waiter on the same shard. A notify() without a waiter is remembered (once).
// Not thread-safe.
class Signal {
 public:
  explicit Signal(asio::any_io_executor executor);
  void notify();
  // Errors: deadline_exceeded; cancelled when the waiting coroutine is cancelled.
  Async<void> wait(Deadline deadline);

 private:
  asio::steady_timer timer_;
  bool pending_ = false;
};

}  // namespace tacit::async
