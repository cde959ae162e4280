// Private to async: a timer that costs nothing while nobody waits and little while many do.
#pragma once

#include <memory>

#include "async/async.hpp"

namespace tacit::async {

// LazyTimer calls `fire(owner)` at the latest at the moment asked for, or a little after it; it may
// also call too early, so `fire` looks at the clock. A timer that is already set for an earlier
// moment stays as it is: an operation that ends in time leaves its timer alone, and the next one
// finds it set. So a busy connection touches the timer heap once per timeout, not once per
// operation. Belongs to one shard. Destroying it ends the calls.
class LazyTimer {
 public:
  using Fire = void (*)(void* owner);
  LazyTimer(asio::any_io_executor executor, Fire fire, void* owner);
  ~LazyTimer();
  LazyTimer(const LazyTimer&) = delete;
  LazyTimer& operator=(const LazyTimer&) = delete;

  void call_at_latest(SteadyTime when);

 private:
  struct Core;
  static void arm(const std::shared_ptr<Core>& core, SteadyTime when);
  asio::any_io_executor executor_;
  Fire fire_;
  void* owner_;
  std::shared_ptr<Core> core_;  // made at first need; the pending wait shares it
};

}  // namespace tacit::async
