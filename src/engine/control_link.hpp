// The front's end of a worker's control socket, and the watch over its process. Runs on the shard
// that started the worker.
#pragma once

#include <memory>
#include <optional>

#include <boost/asio/posix/stream_descriptor.hpp>

#include "async/wait.hpp"
#include "core/unique_fd.hpp"
#include "engine/front_link.hpp"
#include "engine/protocol.hpp"

namespace tacit::engine {

// ControlLink owns the process. It lives as long as its event loop waits for the process or the
// socket, or somebody of its shard holds it.
class ControlLink : public std::enable_shared_from_this<ControlLink> {
 public:
  ControlLink(asio::any_io_executor executor, UniqueFd socket,
              std::unique_ptr<async::Subprocess> process, std::shared_ptr<WorkerState> worker);
  ~ControlLink();  // kills and reaps a process that still runs

  void begin();
  // Closes our end, which tells the worker to end in an orderly way.
  void close() noexcept;

  // Waits for the model to be loaded. Errors: the worker's (malformed, unsupported, too_large...);
  // unavailable when it ended before (says how); deadline_exceeded; cancelled.
  Async<Ready> wait_ready(Deadline deadline);
  // Waits for the end of the process; true when it ended before the deadline.
  Task<bool> wait_exit(Deadline deadline);
  const asio::any_io_executor& executor() const noexcept { return executor_; }
  const std::optional<Hello>& hello() const noexcept { return hello_; }

 private:
  void wait_readable();
  void on_readable();
  Result<void> read_some();
  Result<void> dispatch(Notice notice);
  void watch_process();
  void on_exit() noexcept;
  Error end_while_loading() const;

  struct End {
    int signal = 0;  // 0: it ended by itself, with `status`
    int status = 0;
  };

  asio::any_io_executor executor_;
  std::shared_ptr<WorkerState> worker_;
  std::unique_ptr<async::Subprocess> process_;
  asio::posix::stream_descriptor socket_;
  asio::posix::stream_descriptor end_of_process_;  // pidfd
  FrameReader reader_{ProtocolLimits::event_frame_bytes_max};
  async::Signal changed_;
  std::optional<Hello> hello_;
  std::optional<Result<Ready>> outcome_;
  bool ended_while_loading_ = false;
  bool exited_ = false;
  std::optional<End> end_;
};

}  // namespace tacit::engine
