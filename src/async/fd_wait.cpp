#include "async/fd_wait.hpp"

#include <algorithm>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/deferred.hpp>

#include "async/cancel.hpp"

namespace tacit::async {

FdWait::FdWait(const asio::any_io_executor& executor)
    : descriptor_{executor},
      timer_{executor,
             [](void* self) {
               static_cast<FdWait*>(self)->expire_passed(std::chrono::steady_clock::now());
             },
             this} {}

Result<void> FdWait::open(UniqueFd fd) {
  boost::system::error_code error;
  descriptor_.assign(fd.get(), error);
  if (error) return fail(Error{Code::io, "registering a descriptor"}.with("errno", error.value()));
  (void)fd.release();
  return {};
}

Async<void> FdWait::wait(User user, Event event, Deadline deadline) {
  if (closed_) co_return fail(Code::cancelled, "closed");
  TACIT_CO_RETURN_IF_CANCELLED();
  auto& mine = waits_[static_cast<std::size_t>(user)];
  if (!deadline.is_never()) {
    if (deadline.passed(std::chrono::steady_clock::now())) {
      co_return fail(Code::deadline_exceeded, "deadline exceeded");
    }
    timer_.call_at_latest(deadline.when());
  }
  mine = {.deadline = deadline.when(), .waiting = true, .expired = false};
  const auto done = co_await descriptor_.async_wait(event, asio::as_tuple(asio::deferred));
  const auto error = std::get<0>(done);
  const bool expired = mine.expired;
  mine = {};
  if (!error) co_return Result<void>{};
  if (closed_) co_return fail(Code::cancelled, "closed");
  if (expired) co_return fail(Code::deadline_exceeded, "deadline exceeded");
  if (error != asio::error::operation_aborted) co_return fail(Code::io, "waiting for a descriptor");
  TACIT_CO_RETURN_IF_CANCELLED();
  co_return Result<void>{};  // the other user's deadline woke us, too: try again
}

void FdWait::expire_passed(SteadyTime now) {
  bool any_expired = false;
  auto next = SteadyTime::max();
  for (auto& wait : waits_) {
    if (wait.waiting && wait.deadline <= now) {
      wait.expired = true;
      any_expired = true;
      wait.deadline = SteadyTime::max();
    }
    next = std::min(next, wait.deadline);
  }
  // Cancels both waits; the one that has time left just tries again.
  boost::system::error_code ignored;
  if (any_expired && !closed_) descriptor_.cancel(ignored);
  timer_.call_at_latest(next);
}

void FdWait::expire(User user) noexcept {
  auto& wait = waits_[static_cast<std::size_t>(user)];
  if (!wait.waiting || closed_) return;
  wait.expired = true;
  boost::system::error_code ignored;
  descriptor_.cancel(ignored);
}

void FdWait::close() noexcept {
  if (std::exchange(closed_, true)) return;
  boost::system::error_code ignored;
  descriptor_.close(ignored);
}

}  // namespace tacit::async
