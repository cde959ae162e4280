#include "engine/control_link.hpp"

#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <utility>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

namespace tacit::engine {

ControlLink::ControlLink(asio::any_io_executor executor, UniqueFd socket,
                         std::unique_ptr<async::Subprocess> process,
                         std::shared_ptr<WorkerState> worker)
    : executor_{std::move(executor)},
      worker_{std::move(worker)},
      process_{std::move(process)},
      socket_{executor_, socket.release()},
      end_of_process_{executor_},
      changed_{executor_} {
  worker_->attach(*process_);
}

ControlLink::~ControlLink() {
  worker_->detach();
  worker_->alive = false;
}

void ControlLink::begin() {
  watch_process();
  wait_readable();
}

void ControlLink::close() noexcept {
  boost::system::error_code ignored;
  socket_.close(ignored);
}

void ControlLink::watch_process() {
  const auto fd = static_cast<int>(::syscall(SYS_pidfd_open, process_->pid(), 0u));
  if (fd < 0) return;  // an old kernel: the end of the sockets tells as well
  end_of_process_.assign(fd);
  end_of_process_.async_wait(asio::posix::stream_descriptor::wait_read,
                             [self = shared_from_this()](const boost::system::error_code& error) {
                               if (!error) self->on_exit();
                             });
}

void ControlLink::on_exit() noexcept {
  siginfo_t info{};
  const bool known =
      ::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(end_of_process_.native_handle()),
               &info, WEXITED | WNOWAIT | WNOHANG) == 0;
  const bool killed = known && info.si_code != CLD_EXITED;
  if (known)
    end_ = End{.signal = killed ? info.si_status : 0, .status = killed ? 0 : info.si_status};
  const LogField number{"pid", process_->pid()};
  const LogField status =
      killed ? LogField{"signal", info.si_status} : LogField{"status", info.si_status};
  if (worker_->draining)
    worker_->log.info("worker.ended", {number, status});
  else
    worker_->log.warning("worker.ended", {number, status});
  exited_ = true;
  worker_->alive = false;
  changed_.notify();
}

void ControlLink::wait_readable() {
  if (!socket_.is_open()) return;
  socket_.async_wait(asio::posix::stream_descriptor::wait_read,
                     [self = shared_from_this()](const boost::system::error_code& error) {
                       if (!error) self->on_readable();
                     });
}

void ControlLink::on_readable() {
  if (const auto done = read_some(); !done) {
    if (!outcome_) {
      ended_while_loading_ = done.error().code() == Code::unavailable;
      outcome_ = fail(Code::unavailable, "engine worker broke the protocol");
    }
    close();
    if (!worker_->draining) worker_->give_up();
    changed_.notify();
    return;
  }
  wait_readable();
}

Result<void> ControlLink::read_some() {
  const auto room = reader_.buffer();
  const auto n = ::read(socket_.native_handle(), room.data(), room.size());
  if (n < 0) {
    if (errno == EAGAIN || errno == EINTR || errno == EWOULDBLOCK) return {};
    return fail(Code::unavailable, "worker socket failed");
  }
  if (n == 0) return fail(Code::unavailable, "worker closed its end");
  reader_.filled(static_cast<std::size_t>(n));
  for (;;) {
    TACIT_TRY(const auto frame, reader_.next());
    if (!frame) return {};
    TACIT_TRY(auto notice, decode_notice(*frame));
    TACIT_CHECK(dispatch(std::move(notice)));
  }
}

// Order: Hello (Ready Stats* | LoadFailed), or LoadFailed alone when the sandbox could not be
// entered.
Result<void> ControlLink::dispatch(Notice notice) {
  if (auto* hello = std::get_if<Hello>(&notice)) {
    if (hello_ || outcome_) return fail(Code::malformed, "hello twice");
    if (hello->version != kProtocolVersion)
      return fail(Code::malformed, "another version of the protocol");
    hello_ = *hello;
  } else if (auto* failed = std::get_if<LoadFailed>(&notice)) {
    if (outcome_) return fail(Code::malformed, "outcome twice");
    outcome_ = fail(std::move(failed->error));
    changed_.notify();
  } else if (auto* ready = std::get_if<Ready>(&notice)) {
    if (!hello_ || outcome_) return fail(Code::malformed, "ready out of order");
    outcome_ = *ready;
    changed_.notify();
  } else {
    const auto& stats = std::get<StatsReport>(notice);
    if (!outcome_ || !*outcome_) return fail(Code::malformed, "stats out of order");
    worker_->running = stats.running;
    worker_->waiting = stats.waiting;
    worker_->kv_cache_usage = stats.kv_cache_usage;
  }
  return {};
}

Async<Ready> ControlLink::wait_ready(Deadline deadline) {
  while (!outcome_) TACIT_CO_CHECK(co_await changed_.wait(deadline));
  if (ended_while_loading_) {
    // Its sockets end a moment before it does, and how it ended is worth that moment.
    static_cast<void>(co_await wait_exit(deadline.at_most(Seconds{2})));
    co_return fail(end_while_loading());
  }
  co_return *outcome_;
}

Error ControlLink::end_while_loading() const {
  Error error{Code::unavailable, "engine worker ended while it loaded the model"};
  if (end_ && end_->signal == SIGKILL) {
    return std::move(error)
        .with("signal", end_->signal)
        .fix(
            "Something killed it, most often the kernel for want of memory (see dmesg): free "
            "memory, or choose a smaller model");
  }
  if (end_ && end_->signal != 0) {
    return std::move(error)
        .with("signal", end_->signal)
        .fix("It crashed: the file may be damaged or hostile, or memory ran out (ulimit -v)");
  }
  if (end_) error = std::move(error).with("status", end_->status);
  return std::move(error).fix(
      "Memory may have run out (ulimit -v), or a library it needs cannot be read by this user; "
      "standard error may say more");
}

Task<bool> ControlLink::wait_exit(Deadline deadline) {
  while (!exited_) {
    if (!end_of_process_.is_open()) co_return false;
    const auto waited = co_await changed_.wait_shielded(deadline);
    if (!waited && !exited_) co_return false;
  }
  co_return true;
}

}  // namespace tacit::engine
