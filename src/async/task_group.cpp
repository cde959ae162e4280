#include "async/task_group.hpp"

#include <cstdlib>
#include <list>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/this_coro.hpp>

#include "async/wait.hpp"

namespace tacit::async {

struct TaskGroup::State {
  explicit State(asio::any_io_executor on) : executor{std::move(on)}, left{executor} {}

  asio::any_io_executor executor;
  std::list<asio::cancellation_signal> running;  // one per live task
  Signal left;                                   // the last task left
  bool closed = false;
};

namespace {

// Cancellation is a value here, not an exception: primitives return Code::cancelled.
Task<> root(Task<> task) {
  co_await asio::this_coro::throw_if_cancelled(false);
  co_await std::move(task);
}

// Takes a task off the list. It lives in the completion handler, so that a task whose event loop is
// destroyed under it leaves as well; not in the coroutine, which uses the signal up to its very
// end.
template <class State> class Leaver {
 public:
  Leaver(std::shared_ptr<State> state, std::list<asio::cancellation_signal>::iterator entry)
      : state_{std::move(state)}, entry_{entry} {}
  Leaver(Leaver&& other) noexcept : state_{std::move(other.state_)}, entry_{other.entry_} {}
  Leaver& operator=(Leaver&&) = delete;
  ~Leaver() {
    if (!state_) return;
    state_->running.erase(entry_);
    if (state_->running.empty()) state_->left.notify();
  }

 private:
  std::shared_ptr<State> state_;
  std::list<asio::cancellation_signal>::iterator entry_;
};

}  // namespace

TaskGroup::TaskGroup(asio::any_io_executor executor)
    : state_{std::make_shared<State>(std::move(executor))} {}

TaskGroup::~TaskGroup() {
  state_->closed = true;
  if (state_->running.empty()) return;
  // Tasks may refer to what dies with this group. Only an event loop that has ended may leave them.
  auto& context = asio::query(state_->executor, asio::execution::context);
  if (!static_cast<asio::io_context&>(context).stopped()) std::abort();
}

bool TaskGroup::spawn(Task<> task) {
  if (state_->closed) return false;
  const auto entry = state_->running.emplace(state_->running.end());
  asio::co_spawn(state_->executor, root(std::move(task)),
                 asio::bind_cancellation_slot(
                     entry->slot(), [leaver = Leaver{state_, entry}](std::exception_ptr escaped) {
                       if (escaped) std::rethrow_exception(escaped);
                     }));
  return true;
}

std::size_t TaskGroup::num_running() const noexcept { return state_->running.size(); }

void TaskGroup::close() { state_->closed = true; }

void TaskGroup::cancel() {
  // Emitting may end a task at once (one that has not started waiting), so step before emitting.
  for (auto entry = state_->running.begin(); entry != state_->running.end();) {
    auto& signal = *entry++;
    signal.emit(asio::cancellation_type::terminal);
  }
}

Task<bool> TaskGroup::wait_until_idle(Deadline deadline) {
  while (!state_->running.empty()) {
    const auto waited = co_await state_->left.wait(deadline);
    if (!waited) co_return state_->running.empty();
  }
  co_return true;
}

Task<bool> TaskGroup::join(Deadline deadline) {
  close();
  if (co_await wait_until_idle(deadline)) co_return true;
  cancel();
  while (!state_->running.empty()) {
    (void)co_await state_->left.wait_shielded(Deadline::never());  // bounded by the tasks
  }
  co_return false;
}

}  // namespace tacit::async
