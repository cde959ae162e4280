// Private to async: waiting for the readiness of one descriptor, with deadlines.
#pragma once

#include <array>
#include <cstdint>

#include <boost/asio/posix/stream_descriptor.hpp>

#include "async/async.hpp"
#include "async/lazy_timer.hpp"
#include "core/unique_fd.hpp"

namespace tacit::async {

// FdWait owns a non-blocking descriptor registered with the shard's event loop. Users try their
// system call first and wait only when it would block, so an operation that need not wait costs
// just its system call. Belongs to one shard; must outlive its waiters.
class FdWait {
 public:
  // Who waits; each at most once at a time.
  enum class User : std::uint8_t { reader, writer };
  using Event = asio::posix::descriptor_base::wait_type;

  explicit FdWait(const asio::any_io_executor& executor);
  // Takes a non-blocking descriptor. Errors: io (the event loop will not have it). Called once.
  Result<void> open(UniqueFd fd);

  int fd() { return descriptor_.native_handle(); }
  asio::any_io_executor executor() { return descriptor_.get_executor(); }
  bool closed() const noexcept { return closed_; }
  // Returns when `event` may have come; it may also come back for nothing, so the caller tries
  // again. Errors: deadline_exceeded, cancelled (also after close()), io.
  Async<void> wait(User user, Event event, Deadline deadline);
  // Ends the wait of `user`, if it waits, as if its deadline had passed.
  void expire(User user) noexcept;
  // Closes the descriptor; who waits gets cancelled. Idempotent.
  void close() noexcept;

 private:
  struct Wait {
    SteadyTime deadline = SteadyTime::max();
    bool waiting = false;
    bool expired = false;
  };
  void expire_passed(SteadyTime now);

  asio::posix::stream_descriptor descriptor_;
  LazyTimer timer_;
  std::array<Wait, 2> waits_;
  bool closed_ = false;
};

}  // namespace tacit::async
