// For tests of any module: coroutines as test bodies.
#pragma once

#include <cstdlib>
#include <optional>

#include <gtest/gtest.h>

#include "async/async.hpp"
#include "async/task_group.hpp"

namespace tacit::async {

namespace testing_detail {

template <class T> Task<> keep(Task<T> task, std::optional<T>& out) {
  out.emplace(co_await std::move(task));
}

// Ends the test program when the task hangs: a stuck coroutine would make every later failure
// noise.
inline void drive(asio::io_context& io, TaskGroup& group, Seconds patience) {
  io.restart();
  const auto give_up = std::chrono::steady_clock::now() + patience;
  while (group.num_running() > 0) {
    if (io.run_one_until(give_up) == 0) {
      ADD_FAILURE() << "the test's coroutine did not end";
      std::abort();
    }
  }
}

}  // namespace testing_detail

// run_task runs `task` to its end on `io` and returns its value.
template <class T> T run_task(asio::io_context& io, Task<T> task, Seconds patience = Seconds{60}) {
  std::optional<T> out;
  TaskGroup group{io.get_executor()};
  group.spawn(testing_detail::keep(std::move(task), out));
  testing_detail::drive(io, group, patience);
  return std::move(out).value();
}
inline void run_task(asio::io_context& io, Task<> task, Seconds patience = Seconds{60}) {
  TaskGroup group{io.get_executor()};
  group.spawn(std::move(task));
  testing_detail::drive(io, group, patience);
}

}  // namespace tacit::async

// TACIT_ASYNC_TEST(Suite, Name) { ... co_await ... } is a gtest whose body is a coroutine on its
// own event loop `io`.
#define TACIT_ASYNC_TEST(suite, name)                                          \
  static ::tacit::Task<> suite##_##name##_body(::boost::asio::io_context& io); \
  TEST(suite, name) {                                                          \
    ::boost::asio::io_context io{1};                                           \
    ::tacit::async::run_task(io, suite##_##name##_body(io));                   \
  }                                                                            \
  static ::tacit::Task<> suite##_##name##_body([[maybe_unused]] ::boost::asio::io_context& io)

// gtest's ASSERT_* return, which a coroutine cannot.
#define TACIT_CO_ASSERT(condition)          \
  if (!(condition)) {                       \
    ADD_FAILURE() << "not so: " #condition; \
    co_return;                              \
  }                                         \
  static_assert(true)
