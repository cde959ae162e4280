// The front's end of one data socket: the generations of one shard. Everything here runs on that
// shard.
//
// The worker is not trusted: an id that is not ours, a delta without credit, an event out of order
// or bytes that do not follow the protocol end the link and the worker, and every generation on it
// fails with worker_lost. What a worker can make the front hold is bounded by the credit it was
// given.
#pragma once

#include <atomic>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>

#include <boost/asio/posix/stream_descriptor.hpp>

#include "async/subprocess.hpp"
#include "async/wait.hpp"
#include "core/log.hpp"
#include "core/unique_fd.hpp"
#include "domain/event.hpp"
#include "engine/outgoing.hpp"
#include "engine/protocol.hpp"

namespace tacit::engine {

// WorkerState is what the links of one worker share. It refers to nothing that belongs to a shard,
// so that the last one to hold it may be on any. Thread-safe.
class WorkerState {
 public:
  explicit WorkerState(Logger& logger) : log{logger} {}

  // The process, while its owner (the control link) has it.
  void attach(async::Subprocess& process) {
    const std::scoped_lock lock{mutex_};
    process_ = &process;
    pid_ = process.pid();
  }
  void detach() noexcept {
    const std::scoped_lock lock{mutex_};
    process_ = nullptr;
  }
  pid_t pid() const noexcept { return pid_; }
  // The worker can no longer be used: ends it, and with it every link.
  void give_up() noexcept {
    alive = false;
    const std::scoped_lock lock{mutex_};
    if (process_ != nullptr) process_->kill(SIGKILL);
  }

  Logger& log;
  std::atomic<bool> alive{true};
  std::atomic<bool> draining{false};
  std::atomic<std::uint32_t> in_flight{0};
  std::atomic<std::uint32_t> running{0};
  std::atomic<std::uint32_t> waiting{0};
  std::atomic<float> kv_cache_usage{0};

 private:
  std::mutex mutex_;
  async::Subprocess* process_ = nullptr;
  pid_t pid_ = 0;
};

// How many deltas a generation may have that its reader has not taken yet.
inline constexpr std::uint32_t kCreditWindow = 64;

// GenerationState is shared by a link and the generation's reader.
struct GenerationState {
  GenerationState(asio::any_io_executor executor, RequestId number)
      : id{number}, ready{std::move(executor)} {}
  RequestId id;
  domain::EventBatch events;  // received, not yet taken
  async::Signal ready;
  std::uint32_t credit = kCreditWindow;  // deltas that the worker may still send
  std::uint32_t taken = 0;               // deltas taken since credit was last given
  bool begun = false;                    // something has come
  bool ended = false;                    // the last event is in `events`, or was taken
  bool abandoned = false;                // the reader is gone; events are dropped
};

// FrontLink lives as long as its event loop waits for its socket, or somebody of its shard holds
// it.
class FrontLink : public std::enable_shared_from_this<FrontLink> {
 public:
  FrontLink(asio::io_context& io, UniqueFd socket, std::shared_ptr<WorkerState> worker);

  // Starts reading. Call once, on the shard.
  void begin();
  // Ends the link; its generations fail with worker_lost. On the shard; may be called again.
  void close() noexcept;
  const asio::any_io_executor& executor() const noexcept { return executor_; }

  // Errors: worker_lost when the link has ended.
  Result<std::shared_ptr<GenerationState>> start(domain::GenerateRequest request,
                                                 Deadline deadline);
  // Takes what has come, and gives credit back.
  domain::EventBatch take(GenerationState& generation);
  // The reader goes away: the worker is told, what still comes is dropped.
  void abandon(GenerationState& generation);

 private:
  void wait_readable();
  void on_readable();
  Result<void> read_some();
  Result<void> dispatch(Update update);
  void send(const Command& command);
  void flush();
  void fail_all();

  asio::any_io_executor executor_;
  asio::posix::stream_descriptor socket_;
  std::shared_ptr<WorkerState> worker_;
  FrameReader reader_{ProtocolLimits::event_frame_bytes_max};
  Outgoing out_;
  bool writing_ = false;
  RequestId next_id_ = 1;
  std::map<RequestId, std::shared_ptr<GenerationState>> open_;
};

}  // namespace tacit::engine
