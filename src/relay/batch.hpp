// Batches: requests wait until there are so many of them, or the first has waited so long, and then
// leave in another order than they came in, so that who watches both sides of a relay cannot tell
// by time and order which is which.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "async/wait.hpp"

namespace tacit::relay {

struct BatchOptions {
  std::size_t requests = 8;  // that leave together
  Milliseconds wait{100};    // and how long the first of them waits at most
};

// Batch belongs to one shard and outlives those who wait.
class Batch {
 public:
  Batch(BatchOptions options, asio::any_io_executor executor)
      : options_{options}, executor_{std::move(executor)} {}

  // Joins the group that gathers and waits until it leaves and it is this one's turn. Errors:
  // cancelled, deadline_exceeded.
  Async<void> join(Deadline deadline);
  std::size_t num_waiting() const noexcept { return group_ ? group_->size() : 0; }

 private:
  using Group = std::vector<async::Signal*>;  // who waits; once it leaves, the next one last
  void release();
  static void pass_on(Group& group);

  BatchOptions options_;
  asio::any_io_executor executor_;
  std::shared_ptr<Group> group_;  // the one that gathers; null: nobody waits
};

}  // namespace tacit::relay
