#include "relay/batch.hpp"

#include <algorithm>
#include <utility>

#include "crypto/random.hpp"

namespace tacit::relay {

Async<void> Batch::join(Deadline deadline) {
  async::Signal turn{executor_};
  if (!group_) group_ = std::make_shared<Group>();
  const auto group = group_;
  group->push_back(&turn);
  if (group->size() >= options_.requests) release();
  auto waited = co_await turn.wait(deadline.at_most(options_.wait));
  const bool overdue = !waited && waited.error().code() == Code::deadline_exceeded &&
                       !deadline.passed(std::chrono::steady_clock::now());
  if (overdue) {
    // The oldest one's time is up first, and it takes all others along.
    if (group == group_) release();
    waited = co_await turn.wait(deadline);
  }
  const bool was_waiting = std::erase(*group, &turn) > 0;
  if (!was_waiting) pass_on(*group);  // it had its turn, whether it takes it or not
  co_return waited;
}

void Batch::release() {
  const auto group = std::exchange(group_, nullptr);
  for (std::size_t i = group->size(); i > 1; --i) {
    std::swap((*group)[i - 1], (*group)[crypto::random_u64() % i]);  // Fisher and Yates
  }
  pass_on(*group);
}

// One at a time: the one who completed the group is running, and would else always be the first.
void Batch::pass_on(Group& group) {
  if (group.empty()) return;
  auto* const next = group.back();
  group.pop_back();
  next->notify();
}

}  // namespace tacit::relay
