// How a coroutine learns that it was cancelled earlier.
#pragma once

#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/this_coro.hpp>

#include "async/async.hpp"

namespace tacit::async {

inline bool is_cancelled(const asio::cancellation_state& state) noexcept {
  return state.cancelled() != asio::cancellation_type::none;
}

}  // namespace tacit::async

// A cancellation reaches the operation that is pending when it is emitted. Whatever is awaited
// later must look for itself; every primitive of this module starts with this, and so does whatever
// must not begin in a cancelled coroutine. It neither suspends nor allocates.
#define TACIT_CO_RETURN_IF_CANCELLED()                                                     \
  if (::tacit::async::is_cancelled(co_await ::boost::asio::this_coro::cancellation_state)) \
  co_return ::tacit::fail(::tacit::Code::cancelled, "cancelled")
