// The coroutine vocabulary of the whole project.
//
// Every coroutine runs on one shard: one thread with its own event loop (see runtime.hpp). Objects
// that belong to a shard are touched only there, so they need no locks. A coroutine that takes
// references relies on its caller to await it to the end, which TaskGroup and co_await guarantee.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include "core/error.hpp"
#include "core/time.hpp"

namespace tacit {

namespace asio = boost::asio;

// Async<T> may fail in normal life; co_await it for a Result<T>.
template <class T> using Async = asio::awaitable<Result<T>>;

// Task<T> cannot fail.
template <class T = void> using Task = asio::awaitable<T>;

}  // namespace tacit
