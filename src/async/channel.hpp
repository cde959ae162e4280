// Channel<T>: a bounded queue between coroutines of one shard.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <utility>

#include <boost/asio/steady_timer.hpp>

#include "async/async.hpp"
#include "async/wait.hpp"

namespace tacit::async {

// Channel carries values from producers to one consumer, all on one shard. Not thread-safe.
template <class T> class Channel {
 public:
  Channel(asio::any_io_executor executor, std::size_t capacity)
      : signal_{executor}, capacity_{capacity} {}

  // Adds a value and returns true; false when closed or full (the value is then untouched).
  bool try_push(T&& value) {
    if (closed_ || items_.size() >= capacity_) return false;
    items_.push_back(std::move(value));
    signal_.notify();
    return true;
  }
  // The next value without waiting.
  std::optional<T> try_pop() {
    if (items_.empty()) return std::nullopt;
    std::optional<T> value{std::move(items_.front())};
    items_.pop_front();
    return value;
  }
  // Waits for a value. Errors: cancelled (closed and drained, or the coroutine was cancelled),
  // deadline_exceeded.
  Async<T> pop(Deadline deadline) {
    while (items_.empty()) {
      if (closed_) co_return fail(Code::cancelled, "channel closed");
      TACIT_CO_CHECK(co_await signal_.wait(deadline));
    }
    T value{std::move(items_.front())};
    items_.pop_front();
    co_return value;
  }
  // No more values; the consumer still gets those already in.
  void close() {
    closed_ = true;
    signal_.notify();
  }
  bool closed() const noexcept { return closed_; }
  std::size_t size() const noexcept { return items_.size(); }

 private:
  std::deque<T> items_;
  Signal signal_;
  std::size_t capacity_;
  bool closed_ = false;
};

}  // namespace tacit::async
