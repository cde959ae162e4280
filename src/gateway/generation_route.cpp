// Every API's calls that a model answers: body to domain requests, events to the wire.
#include <array>
#include <deque>

#include "api/error_map.hpp"
#include "api/generation.hpp"
#include "async/task_group.hpp"
#include "async/wait.hpp"
#include "core/text.hpp"
#include "crypto/random.hpp"
#include "gateway/call.hpp"

#include <boost/asio/this_coro.hpp>

namespace tacit::gateway {
namespace {

std::string new_id() {
  std::array<std::byte, 12> random{};
  crypto::random_bytes(random);
  return to_hex(random);
}

// Counts one generation for /metrics.
class Meter {
 public:
  Meter(ModelSeries& series, const Gateway::Call& call, SteadyTime loaded)
      : series_{series}, call_{call}, loaded_{loaded} {}
  // A generation that ends without a last event was given up by its client.
  ~Meter() {
    if (!ended_) end(Outcome::abort);
  }
  Meter(const Meter&) = delete;
  Meter& operator=(const Meter&) = delete;

  void count(const domain::Event& event) {
    if (const auto* started = std::get_if<domain::Started>(&event))
      series_.prompt_tokens.add(started->prompt_tokens);
    if (const auto* text = std::get_if<domain::TextDelta>(&event)) token(text->num_tokens);
    if (const auto* reasoning = std::get_if<domain::ReasoningDelta>(&event))
      token(reasoning->num_tokens);
    if (const auto* call = std::get_if<domain::ToolCallDelta>(&event)) token(call->num_tokens);
    if (const auto* finished = std::get_if<domain::Finished>(&event)) {
      end(finished->reason == domain::FinishReason::length ? Outcome::length : Outcome::stop);
    }
    if (std::holds_alternative<domain::Failed>(event)) end(Outcome::error);
  }

  // Of now, when the generation ends.
  api::Timing timing() const {
    const auto now = call_.parts.clock.now();
    const auto first = last_token_ == SteadyTime{} ? now : first_token_;
    return {now - call_.begun, loaded_ - call_.begun, first - loaded_, now - first};
  }

 private:
  void token(std::uint32_t count) {
    const auto now = call_.parts.clock.now();
    if (last_token_ == SteadyTime{}) {
      first_token_ = now;
      series_.time_to_first_token.observe(now - call_.begun);
    } else {
      series_.inter_token_latency.observe(now - last_token_);
    }
    last_token_ = now;
    series_.generation_tokens.add(count);
  }
  void end(Outcome outcome) {
    ended_ = true;
    series_.requests[static_cast<std::size_t>(outcome)].add();
    series_.e2e_latency.observe(call_.parts.clock.now() - call_.begun);
  }

  ModelSeries& series_;
  const Gateway::Call& call_;
  SteadyTime loaded_;
  SteadyTime first_token_{};
  SteadyTime last_token_{};
  bool ended_ = false;
};

// What one call needs while it is answered.
struct Answering {
  Gateway::Call& call;
  api::Call& api_call;
  std::shared_ptr<domain::Backend> backend;
  SteadyTime loaded;
  bool started = false;  // the stream's head was sent

  ModelSeries& series() const { return call.metrics().model(backend->model().name); }
};

Async<void> start_stream(Answering& answering) {
  http::ResponseHead head;
  head.headers.add("content-type", std::string{answering.api_call.stream_type});
  head.headers.add("cache-control", "no-cache");
  head.headers.add("x-accel-buffering", "no");  // nginx must not hold events back
  TACIT_CO_CHECK(co_await answering.call.exchange.start(std::move(head)));
  answering.call.status = 200;
  answering.started = true;
  co_return Result<void>{};
}

// Renders a batch of one choice. Returns whether its last event was in it.
bool render(Answering& answering, Meter& meter, std::uint32_t choice,
            const domain::EventBatch& batch) {
  for (const auto& event : batch) {
    if (std::holds_alternative<domain::Finished>(event))
      answering.api_call.renderer->timed(choice, meter.timing());
    meter.count(event);
    answering.api_call.renderer->feed(choice, event);
  }
  return is_last(batch.back());
}

// Sends what is rendered of a stream. An error here means that nobody listens any more.
Async<void> send_stream(Answering& answering) {
  const auto bytes = answering.api_call.renderer->take();
  if (!bytes.empty())
    TACIT_CO_CHECK(co_await answering.call.exchange.write(as_bytes(bytes.reveal())));
  co_return Result<void>{};
}

// The end of a call that went well; a stream's bytes are already sent.
Async<void> send_end(Answering& answering) {
  if (answering.api_call.stream) co_return co_await answering.call.exchange.finish();
  const auto body = answering.api_call.renderer->take();
  co_await respond(answering.call, 200, "application/json", body.reveal());
  co_return Result<void>{};
}

// A failure: a status before a stream has begun, an event in it afterwards.
Async<void> send_failure(Answering& answering, const Error& error, std::uint32_t choice) {
  if (!answering.started) {
    co_await respond_error(answering.call, error);
    co_return Result<void>{};
  }
  const domain::Event failed = domain::Failed{error};
  answering.api_call.renderer->feed(choice, failed);
  TACIT_CO_CHECK(co_await send_stream(answering));
  co_return co_await answering.call.exchange.finish();
}

const domain::Failed* failure_in(const domain::EventBatch& batch) {
  return std::get_if<domain::Failed>(&batch.back());
}

// One choice: events straight to the client.
Async<void> answer_one(Answering& answering) {
  auto& call = answering.call;
  const auto deadline = call.exchange.deadline();
  auto request = std::move(answering.api_call.requests.front());
  auto generation = co_await answering.backend->generate(std::move(request), deadline);
  if (!generation) {
    co_await respond_error(call, generation.error());
    co_return Result<void>{};
  }
  // The status is decided by the first event: a prompt that does not fit is a 400, not a stream.
  auto batch = co_await (*generation)->next(deadline);
  if (!batch) {
    co_await respond_error(call, batch.error());
    co_return Result<void>{};
  }
  Meter meter{answering.series(), call, answering.loaded};
  if (std::holds_alternative<domain::Failed>(batch->front())) {
    meter.count(batch->front());
    co_await respond_error(call, std::get<domain::Failed>(batch->front()).error);
    co_return Result<void>{};
  }
  if (answering.api_call.stream) TACIT_CO_CHECK(co_await start_stream(answering));
  for (;;) {
    if (const auto* failed = failure_in(*batch); failed != nullptr && !answering.api_call.stream) {
      meter.count(batch->back());
      co_return co_await send_failure(answering, failed->error, 0);
    }
    const bool last = render(answering, meter, 0, *batch);
    if (answering.api_call.stream) TACIT_CO_CHECK(co_await send_stream(answering));
    if (last) break;
    auto next = co_await (*generation)->next(deadline);
    if (!next) {
      if (next.error().code() == Code::cancelled) co_return fail(std::move(next).error());
      // The exchange's time is over: say so to whoever still listens.
      co_return co_await send_failure(answering, next.error(), 0);
    }
    *batch = std::move(*next);
  }
  if (answering.api_call.stream) co_return co_await call.exchange.finish();
  co_return co_await send_end(answering);
}

// Several choices or inputs: a few run at once, and each waits until its batch was rendered.
class Choices {
 public:
  static constexpr std::size_t kAtOnce = 8;

  Choices(asio::any_io_executor executor, Answering& answering)
      : executor_{executor}, answering_{answering}, arrived_{executor}, tasks_{executor} {}

  Async<void> run() {
    const auto num = std::min(kAtOnce, answering_.api_call.requests.size());
    for (std::size_t i = 0; i < num; ++i) tasks_.spawn(pump(i));
    auto outcome = co_await relay();
    stopping_ = true;
    tasks_.cancel();
    co_await tasks_.join(Deadline::never());
    co_return outcome;
  }

 private:
  struct Lane {
    explicit Lane(asio::any_io_executor executor) : taken{executor} {}
    async::Signal taken;
  };
  struct Arrival {
    std::uint32_t choice;
    Result<domain::EventBatch> batch;
    std::size_t lane;
  };

  // Runs one request after the other until none is left.
  Task<> pump(std::size_t lane) {
    lanes_.at(lane) = std::make_unique<Lane>(executor_);
    const auto deadline = answering_.call.exchange.deadline();
    while (!stopping_ && next_ < answering_.api_call.requests.size()) {
      const auto choice = static_cast<std::uint32_t>(next_++);
      auto request = std::move(answering_.api_call.requests[choice]);
      auto generation = co_await answering_.backend->generate(std::move(request), deadline);
      if (!generation) {
        arrive({choice, fail(std::move(generation).error()), lane});
        co_return;
      }
      for (bool last = false; !last && !stopping_;) {
        auto batch = co_await (*generation)->next(deadline);
        last = !batch || is_last(batch->back());
        arrive({choice, std::move(batch), lane});
        const auto taken = co_await lanes_[lane]->taken.wait(deadline);
        if (!taken) co_return;
      }
    }
  }

  void arrive(Arrival arrival) {
    arrivals_.push_back(std::move(arrival));
    arrived_.notify();
  }

  Async<void> relay() {
    const auto deadline = answering_.call.exchange.deadline();
    const auto num_choices = answering_.api_call.requests.size();
    std::vector<std::unique_ptr<Meter>> meters(num_choices);
    for (std::size_t num_ended = 0; num_ended < num_choices;) {
      while (arrivals_.empty()) {
        const auto waited = co_await arrived_.wait(deadline);
        if (!waited && waited.error().code() == Code::cancelled) co_return fail(waited.error());
        if (!waited) co_return co_await send_failure(answering_, waited.error(), 0);
      }
      auto arrival = std::move(arrivals_.front());
      arrivals_.pop_front();
      if (!arrival.batch)
        co_return co_await send_failure(answering_, arrival.batch.error(), arrival.choice);
      auto& meter = meters[arrival.choice];
      if (!meter)
        meter = std::make_unique<Meter>(answering_.series(), answering_.call, answering_.loaded);
      if (const auto* failed = failure_in(*arrival.batch)) {
        meter->count(arrival.batch->back());
        co_return co_await send_failure(answering_, failed->error, arrival.choice);
      }
      if (answering_.api_call.stream && !answering_.started)
        TACIT_CO_CHECK(co_await start_stream(answering_));
      num_ended += render(answering_, *meter, arrival.choice, *arrival.batch) ? 1 : 0;
      if (answering_.api_call.stream) TACIT_CO_CHECK(co_await send_stream(answering_));
      lanes_[arrival.lane]->taken.notify();
    }
    co_return co_await send_end(answering_);
  }

  asio::any_io_executor executor_;
  Answering& answering_;
  async::Signal arrived_;
  std::array<std::unique_ptr<Lane>, kAtOnce> lanes_;
  std::deque<Arrival> arrivals_;
  std::size_t next_ = 0;
  bool stopping_ = false;
  async::TaskGroup tasks_;
};

// Reads and understands the body; answers with an error and returns nothing when that fails.
Task<std::optional<api::Call>> understand(Gateway::Call& call) {
  auto body = co_await http::read_body(call.exchange, call.options.body_bytes_max);
  if (!body && body.error().code() == Code::deadline_exceeded) {  // the client's delay, not ours
    const auto text = call.dialect->error(body.error(), "request_timeout");
    co_await respond(call, 408, "application/json", text);
    co_return std::nullopt;
  }
  if (!body) {
    co_await respond_error(call, body.error());
    co_return std::nullopt;
  }
  api::Limits limits;
  limits.body_bytes_max = call.options.body_bytes_max;
  auto parsed = call.parse(body->reveal(), limits);
  if (!parsed) {
    co_await respond_error(call, parsed.error());
    co_return std::nullopt;
  }
  co_return std::optional<api::Call>{std::move(*parsed)};  // the body's bytes are wiped here
}

}  // namespace

Task<> generation(Gateway::Call& call) {
  auto understood = co_await understand(call);
  if (!understood) co_return;
  auto& api_call = *understood;
  call.metrics().unknown_fields.add(api_call.num_unknown_fields);
  const auto weight = call.options.weights.find(call.principal.key_id);
  for (auto& request : api_call.requests) {
    request.tenant = call.principal.key_id;
    request.tenant_weight = weight == call.options.weights.end() ? 1 : weight->second;
    if (call.parts.cache_salts != nullptr)
      request.cache_salt = call.parts.cache_salts->of(request.tenant);
  }
  auto model_name = api_call.requests.front().model;
  if (model_name.empty()) {  // llama.cpp's own endpoints name none
    const auto models = call.parts.models.list();
    if (models.size() != 1) {
      const auto error =
          Error{Code::invalid_argument, "this server has several models, or none"}.fix(
              "Name one in the field model");
      co_await respond_error(call, error);
      co_return;
    }
    model_name = models.front().name;
  }
  auto backend = co_await call.parts.models.acquire(model_name, call.exchange.deadline());
  if (!backend) {
    const bool unknown = backend.error().code() == Code::not_found;
    co_await respond_error(call, backend.error(), unknown ? kModelNotFound : std::string_view{});
    co_return;
  }
  Answering answering{call, api_call, std::move(*backend), call.parts.clock.now()};
  const api::AnswerContext context{new_id(), answering.backend->model().name, call.unix_s()};
  api_call.renderer->begin(context);
  Result<void> relayed;
  if (api_call.requests.size() == 1) {
    relayed = co_await answer_one(answering);
  } else {
    const auto executor = co_await asio::this_coro::executor;
    Choices choices{executor, answering};
    relayed = co_await choices.run();
  }
  if (!relayed) {
    call.parts.log.debug("request.client_left", {{"code", relayed.error().code()}});
  }
}

}  // namespace tacit::gateway
