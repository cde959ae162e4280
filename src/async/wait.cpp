#include "async/wait.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "async/cancel.hpp"
#include "async/lazy_timer.hpp"

namespace tacit::async {

Async<void> sleep_until(SteadyTime when) {
  TACIT_CO_RETURN_IF_CANCELLED();
  asio::steady_timer timer{co_await asio::this_coro::executor, when};
  const auto done = co_await timer.async_wait(asio::as_tuple(asio::deferred));
  if (std::get<0>(done)) co_return fail(Code::cancelled, "cancelled");
  co_return Result<void>{};
}

Task<> yield() { co_await asio::post(co_await asio::this_coro::executor, asio::use_awaitable); }

Signal::Signal(asio::any_io_executor executor) : executor_{std::move(executor)} {}
Signal::~Signal() = default;

void Signal::notify() {
  pending_ = true;
  wake();
}

void Signal::wake() {
  if (!resume_) return;
  auto resume = std::move(resume_);
  resume_ = nullptr;
  resume();
}

Async<void> Signal::wait(Deadline deadline) { return wait_impl(deadline, false); }
Async<void> Signal::wait_shielded(Deadline deadline) { return wait_impl(deadline, true); }

Async<void> Signal::wait_impl(Deadline deadline, bool shielded) {
  if (resume_) co_return fail(Code::internal, "two coroutines wait for one signal");
  for (;;) {
    if (std::exchange(pending_, false)) co_return Result<void>{};
    if (!shielded) TACIT_CO_RETURN_IF_CANCELLED();
    if (!deadline.is_never()) {
      if (deadline.passed(std::chrono::steady_clock::now())) {
        co_return fail(Code::deadline_exceeded, "deadline exceeded");
      }
      if (!timer_) {
        timer_ = std::make_unique<LazyTimer>(
            executor_,
            [](void* self) {
              auto& signal = *static_cast<Signal*>(self);
              if (signal.resume_ == nullptr) return;
              if (Deadline::at(signal.deadline_).passed(std::chrono::steady_clock::now())) {
                signal.wake();
              } else {
                signal.timer_->call_at_latest(signal.deadline_);
              }
            },
            this);
      }
      timer_->call_at_latest(deadline.when());
    }
    deadline_ = deadline.when();
    co_await asio::async_initiate<const asio::use_awaitable_t<>, void()>(
        [this, shielded](auto handler) {
          auto slot = asio::get_associated_cancellation_slot(handler);
          if (!shielded && slot.is_connected()) {
            slot.assign([this](asio::cancellation_type) { wake(); });
          }
          resume_ = [executor = executor_, waiter = std::move(handler)]() mutable {
            asio::post(executor, std::move(waiter));
          };
        },
        asio::use_awaitable);
  }
}

}  // namespace tacit::async
