#include "engine/engine_loop.hpp"

#include <algorithm>
#include <span>

#include "core/text.hpp"
#include "engine/protocol.hpp"

namespace tacit::engine {
namespace {

constexpr std::size_t kPromptBytesMax = 256 * 1024 * 1024;

std::size_t content_bytes(const domain::GenerateRequest& request) {
  std::size_t n = sizeof request;
  for (const auto& message : request.messages) {
    n += message.content.size() + message.reasoning.size() + sizeof message;
    for (const auto& call : message.tool_calls) n += call.arguments.size() + sizeof call;
  }
  for (const auto& tool : request.tools)
    n += tool.description.size() + tool.parameters.size() + sizeof tool;
  if (request.text) n += request.text->size();
  if (request.tokens) n += request.tokens->size() * sizeof(Token);
  return n;
}

domain::Finished finished_with(std::size_t prompt_tokens) {
  return {domain::FinishReason::stop, {.prompt_tokens = static_cast<std::uint32_t>(prompt_tokens)}};
}

std::uint32_t pieces(std::size_t n, std::size_t of) {
  return static_cast<std::uint32_t>((n + of - 1) / of);
}

}  // namespace

EngineLoop::EngineLoop(Model& model, SchedulerOptions options, std::function<void()> wake,
                       const Clock& clock)
    : model_{model}, wake_{std::move(wake)}, clock_{clock}, scheduler_{model, *this, options} {
  preparer_ = std::thread{[this] { prepare_loop(); }};
  computer_ = std::thread{[this] { compute_loop(); }};
}

EngineLoop::~EngineLoop() {
  {
    const std::scoped_lock lock{mutex_};
    stopping_ = true;
  }
  has_work_.notify_all();
  has_orders_.notify_all();
  preparer_.join();
  computer_.join();
}

void EngineLoop::submit(Work work) {
  const auto bytes = content_bytes(work.request);
  {
    const std::scoped_lock lock{mutex_};
    if (prompt_bytes_ + bytes <= kPromptBytesMax) {
      prompt_bytes_ += bytes;
      works_.push_back(std::move(work));
      has_work_.notify_one();
      return;
    }
  }
  post(work.key, domain::Failed{Error{Code::overloaded, "engine holds too many prompt bytes"}
                                    .with("bytes", static_cast<std::int64_t>(bytes))
                                    .with("limit", static_cast<std::int64_t>(kPromptBytesMax))});
}

void EngineLoop::cancel(RequestKey key) { order(CancelOrder{key}); }
void EngineLoop::add_credit(RequestKey key, std::uint32_t deltas) {
  order(CreditOrder{key, deltas});
}

void EngineLoop::order(Order order) {
  const std::scoped_lock lock{mutex_};
  orders_.push_back(std::move(order));
  has_orders_.notify_one();
}

EngineLoop::Events EngineLoop::take_events() {
  const std::scoped_lock lock{mutex_};
  return std::exchange(outbox_, {});
}

Scheduler::Load EngineLoop::load() const {
  const std::scoped_lock lock{mutex_};
  auto load = load_;
  load.waiting += num_preparing_ + static_cast<std::uint32_t>(works_.size());
  return load;
}

void EngineLoop::on_event(RequestKey key, domain::Event event) {
  batch_events_.emplace_back(key, std::move(event));
}

void EngineLoop::post(RequestKey key, domain::Event event) {
  {
    const std::scoped_lock lock{mutex_};
    outbox_.emplace_back(key, std::move(event));
  }
  wake_();
}

void EngineLoop::prepare_loop() {
  std::unique_lock lock{mutex_};
  for (;;) {
    has_work_.wait(lock, [this] { return stopping_ || !works_.empty(); });
    if (stopping_) return;
    auto work = std::move(works_.front());
    works_.pop_front();
    num_preparing_ = 1;
    lock.unlock();
    const auto bytes = content_bytes(work.request);
    if (work.mark->cancelled) {
      post(work.key, domain::Failed{Error{Code::cancelled, "generation cancelled"}});
    } else if (auto prompt = model_.prepare(std::move(work.request)); prompt) {
      const auto purpose = prompt->purpose;
      prompt->deadline = work.deadline;
      if (purpose == domain::Purpose::generate || purpose == domain::Purpose::embed)
        order(Ready{work.key, *std::move(prompt), work.credit, std::move(work.mark)});
      else
        answer_at_once(work, *std::move(prompt));
    } else {
      post(work.key, domain::Failed{std::move(prompt).error()});
    }
    lock.lock();
    num_preparing_ = 0;
    prompt_bytes_ -= bytes;
  }
}

// What needs no computing: the prompt itself, its tokens or their number.
void EngineLoop::answer_at_once(const Work& work, Prompt prompt) {
  constexpr auto kTokens = ProtocolLimits::delta_values_max;
  constexpr auto kBytes = ProtocolLimits::delta_bytes_max - 4;
  const bool as_text = prompt.purpose == domain::Purpose::render;
  const bool as_tokens = prompt.purpose == domain::Purpose::tokenize;
  const auto deltas = as_text     ? pieces(prompt.text.size(), kBytes - 4)
                      : as_tokens ? pieces(prompt.tokens.size(), kTokens)
                                  : 0u;
  if (deltas > work.credit) {
    return post(work.key, domain::Failed{Error{Code::too_large, "text is too long to be returned"}
                                             .with("pieces", deltas)
                                             .with("limit", work.credit)});
  }
  const auto num_tokens = prompt.tokens.size();
  post(work.key, domain::Started{static_cast<std::uint32_t>(num_tokens)});
  for (auto rest = prompt.text.reveal(); as_text && !rest.empty();) {
    const auto n = utf8_complete_prefix(rest.substr(0, std::min(rest.size(), kBytes)));
    if (n == 0) break;
    post(work.key, domain::TextDelta{domain::Content{rest.substr(0, n)}, 0});
    rest.remove_prefix(n);
  }
  for (std::span rest{prompt.tokens}; as_tokens && !rest.empty();) {
    const auto piece = rest.first(std::min(rest.size(), kTokens));
    post(work.key, domain::TokensDelta{{piece.begin(), piece.end()}});
    rest = rest.subspan(piece.size());
  }
  post(work.key, finished_with(num_tokens));
}

// One embedding between two steps, so that running answers wait for one text at most.
bool EngineLoop::embed_one() {
  if (embeddings_.empty()) return false;
  const auto work = std::move(embeddings_.front());
  embeddings_.pop_front();
  if (work.mark->cancelled) {
    on_event(work.key, domain::Failed{Error{Code::cancelled, "generation cancelled"}});
    return true;
  }
  auto vector = work.tokens.empty()
                    ? Result<std::vector<float>>{fail(Code::invalid_argument, "prompt is empty")}
                    : model_.embed(work.tokens);
  if (!vector) {
    on_event(work.key, domain::Failed{std::move(vector).error()});
    return true;
  }
  on_event(work.key, domain::Started{static_cast<std::uint32_t>(work.tokens.size())});
  for (std::span rest{*vector}; !rest.empty();) {
    const auto piece = rest.first(std::min(rest.size(), ProtocolLimits::delta_values_max));
    on_event(work.key, domain::VectorDelta{{piece.begin(), piece.end()}});
    rest = rest.subspan(piece.size());
  }
  on_event(work.key, finished_with(work.tokens.size()));
  return true;
}

void EngineLoop::carry_out(Order& order) {
  if (auto* ready = std::get_if<Ready>(&order)) {
    if (ready->mark->cancelled) {
      // Its cancel order may have come before it; this is the only place that can tell.
      on_event(ready->key, domain::Failed{Error{Code::cancelled, "generation cancelled"}});
    } else if (ready->prompt.purpose == domain::Purpose::embed) {
      embeddings_.push_back({ready->key, std::move(ready->prompt.tokens), std::move(ready->mark)});
    } else {
      scheduler_.submit(ready->key, std::move(ready->prompt), ready->credit);
    }
  } else if (const auto* cancel = std::get_if<CancelOrder>(&order)) {
    scheduler_.cancel(cancel->key);
  } else {
    const auto& credit = std::get<CreditOrder>(order);
    scheduler_.add_credit(credit.key, credit.deltas);
  }
}

// Until there are orders, or the next deadline of a request that nothing can be done for.
void EngineLoop::wait_for_orders(std::unique_lock<std::mutex>& lock) {
  const auto done = [this] { return stopping_ || !orders_.empty(); };
  if (const auto deadline = scheduler_.next_deadline())
    has_orders_.wait_until(lock, *deadline, done);
  else
    has_orders_.wait(lock, done);
}

void EngineLoop::compute_loop() {
  bool worked = true;
  std::vector<Order> orders;
  for (;;) {
    {
      std::unique_lock lock{mutex_};
      if (!worked) wait_for_orders(lock);
      if (stopping_) return;
      orders.swap(orders_);
    }
    for (auto& order : orders) carry_out(order);
    orders.clear();
    scheduler_.expire(clock_.now());
    worked = scheduler_.step();
    worked = embed_one() || worked;
    publish();
  }
}

void EngineLoop::publish() {
  const auto load = scheduler_.load();
  bool wake = false;
  {
    const std::scoped_lock lock{mutex_};
    load_ = load;
    wake = !batch_events_.empty();
    for (auto& event : batch_events_) outbox_.push_back(std::move(event));
  }
  batch_events_.clear();
  if (wake) wake_();
}

}  // namespace tacit::engine
