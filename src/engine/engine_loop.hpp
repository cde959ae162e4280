// The two threads of a worker that compute: one makes prompts, one runs the scheduler. What they
// have to say goes to an outbox, which the I/O thread empties while the next batch is computed.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "core/time.hpp"
#include "domain/event.hpp"
#include "domain/request.hpp"
#include "engine/model.hpp"
#include "engine/scheduler.hpp"

namespace tacit::engine {

// RequestMark is shared between the I/O thread and those that work for a request.
struct RequestMark {
  std::atomic<bool> cancelled{false};
};

struct Work {
  RequestKey key = 0;
  std::uint32_t credit = 0;
  domain::GenerateRequest request;
  std::shared_ptr<RequestMark> mark;
  SteadyTime deadline = SteadyTime::max();
};

// EngineLoop's public functions are thread-safe. Every submitted key gets exactly one last event.
class EngineLoop final : private EventSink {
 public:
  using Events = std::vector<std::pair<RequestKey, domain::Event>>;

  // `wake` is called, from the loop's threads, when the outbox has become non-empty.
  EngineLoop(Model& model, SchedulerOptions options, std::function<void()> wake,
             const Clock& clock);
  ~EngineLoop();  // stops and joins
  EngineLoop(const EngineLoop&) = delete;
  EngineLoop& operator=(const EngineLoop&) = delete;

  // Refuses (with an event) what would hold too many bytes of prompts at once.
  void submit(Work work);
  void cancel(RequestKey key);  // mark the request first
  void add_credit(RequestKey key, std::uint32_t deltas);
  // All events since the last call.
  Events take_events();
  // Of the moment after the last batch; `waiting` counts prompts in the making too.
  Scheduler::Load load() const;

 private:
  struct Ready {
    RequestKey key;
    Prompt prompt;
    std::uint32_t credit;
    std::shared_ptr<RequestMark> mark;
  };
  struct CancelOrder {
    RequestKey key;
  };
  struct CreditOrder {
    RequestKey key;
    std::uint32_t deltas;
  };
  using Order = std::variant<Ready, CancelOrder, CreditOrder>;
  // A prompt whose embedding is wanted; in line behind other ones.
  struct Embedding {
    RequestKey key;
    std::vector<Token> tokens;
    std::shared_ptr<RequestMark> mark;
  };

  void on_event(RequestKey key, domain::Event event) override;
  void post(RequestKey key,
            domain::Event event);  // an event of another thread than the scheduler's
  void order(Order order);
  void answer_at_once(const Work& work, Prompt prompt);
  bool embed_one();
  void prepare_loop();
  void wait_for_orders(std::unique_lock<std::mutex>& lock);
  void compute_loop();
  void carry_out(Order& order);
  void publish();

  Model& model_;
  std::function<void()> wake_;
  const Clock& clock_;
  Scheduler scheduler_;               // the computing thread's own
  Events batch_events_;               // the computing thread's own: events of this step
  std::deque<Embedding> embeddings_;  // the computing thread's own

  mutable std::mutex mutex_;
  std::condition_variable has_work_;
  std::condition_variable has_orders_;
  std::deque<Work> works_;
  std::size_t prompt_bytes_ = 0;
  std::uint32_t num_preparing_ = 0;
  std::vector<Order> orders_;
  Events outbox_;
  Scheduler::Load load_;
  bool stopping_ = false;

  std::thread preparer_;
  std::thread computer_;
};

}  // namespace tacit::engine
