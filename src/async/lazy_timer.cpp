#include "async/lazy_timer.hpp"

#include <boost/asio/steady_timer.hpp>

namespace tacit::async {

struct LazyTimer::Core {
  explicit Core(const asio::any_io_executor& executor) : timer{executor} {}
  asio::steady_timer timer;
  SteadyTime armed_for = SteadyTime::max();
  Fire fire = nullptr;
  void* owner = nullptr;  // null once the LazyTimer is gone
};

LazyTimer::LazyTimer(asio::any_io_executor executor, Fire fire, void* owner)
    : executor_{std::move(executor)}, fire_{fire}, owner_{owner} {}

LazyTimer::~LazyTimer() {
  if (!core_) return;
  core_->owner = nullptr;
  core_->timer.cancel();
}

void LazyTimer::call_at_latest(SteadyTime when) {
  if (when == SteadyTime::max()) return;
  if (!core_) {
    core_ = std::make_shared<Core>(executor_);
    core_->fire = fire_;
    core_->owner = owner_;
  }
  if (core_->armed_for <= when) return;
  arm(core_, when);
}

void LazyTimer::arm(const std::shared_ptr<Core>& core, SteadyTime when) {
  core->armed_for = when;
  core->timer.expires_at(when);
  core->timer.async_wait([core](const boost::system::error_code& error) {
    if (error) return;  // re-armed for an earlier moment, or destroyed
    core->armed_for = SteadyTime::max();
    if (core->owner != nullptr) core->fire(core->owner);
  });
}

}  // namespace tacit::async
