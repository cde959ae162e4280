#include "async/signals.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/deferred.hpp>
#include <boost/asio/signal_set.hpp>

#include "async/cancel.hpp"

namespace tacit::async {

struct SignalSet::State {
  explicit State(const asio::any_io_executor& executor) : signals{executor} {}
  asio::signal_set signals;
};

SignalSet::SignalSet(asio::any_io_executor executor, std::initializer_list<int> signals)
    : state_{std::make_unique<State>(executor)} {
  for (const int signal : signals) state_->signals.add(signal);
}

SignalSet::~SignalSet() = default;

Async<int> SignalSet::next() {
  TACIT_CO_RETURN_IF_CANCELLED();
  const auto caught = co_await state_->signals.async_wait(asio::as_tuple(asio::deferred));
  if (std::get<0>(caught)) co_return fail(Code::cancelled, "cancelled");
  co_return std::get<1>(caught);
}

}  // namespace tacit::async
