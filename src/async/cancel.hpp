// Private to async: how a primitive learns that its coroutine was cancelled earlier.
#pragma once

#include <boost/asio/cancellation_type.hpp>
#include <boost/asio/this_coro.hpp>

// A cancellation reaches the operation that is pending when it is emitted. Whatever is awaited
// later must look for itself; every primitive of this module starts with this. It neither suspends
// nor allocates.
#define TACIT_CO_RETURN_IF_CANCELLED()                                       \
  if ((co_await ::boost::asio::this_coro::cancellation_state).cancelled() != \
      ::boost::asio::cancellation_type::none)                                \
  co_return ::tacit::fail(::tacit::Code::cancelled, "cancelled")
