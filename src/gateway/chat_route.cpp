// POST /v1/chat/completions: body to domain request, events to the wire.
#include <array>

#include "api/error_map.hpp"
#include "api/openai/chat.hpp"
#include "core/text.hpp"
#include "crypto/random.hpp"
#include "gateway/call.hpp"

namespace tacit::gateway {
namespace {

std::string new_chat_id() {
  std::array<std::byte, 12> random{};
  crypto::random_bytes(random);
  return "chatcmpl-" + to_hex(random);
}

// Counts one generation for /metrics.
class Meter {
 public:
  Meter(ModelSeries& series, const Gateway::Call& call) : series_{series}, call_{call} {}
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
    if (const auto* finished = std::get_if<domain::Finished>(&event)) {
      end(finished->reason == domain::FinishReason::length ? Outcome::length : Outcome::stop);
    }
    if (std::holds_alternative<domain::Failed>(event)) end(Outcome::error);
  }

 private:
  void token(std::uint32_t count) {
    const auto now = call_.parts.clock.now();
    if (last_token_ == SteadyTime{})
      series_.time_to_first_token.observe(now - call_.begun);
    else
      series_.inter_token_latency.observe(now - last_token_);
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
  SteadyTime last_token_{};
  bool ended_ = false;
};

Async<void> start_stream(Gateway::Call& call) {
  http::ResponseHead head;
  head.headers.add("content-type", "text/event-stream; charset=utf-8");
  head.headers.add("cache-control", "no-cache");
  head.headers.add("x-accel-buffering", "no");  // nginx must not hold events back
  TACIT_CO_CHECK(co_await call.exchange.start(std::move(head)));
  call.status = 200;
  co_return Result<void>{};
}

// Events to the client until the last one. An error here means that nobody listens any more.
Async<void> relay(Gateway::Call& call, domain::Generation& generation, domain::EventBatch batch,
                  api::openai::ChatRenderer& renderer, Meter& meter, bool stream) {
  if (stream) TACIT_CO_CHECK(co_await start_stream(call));
  for (;;) {
    for (const auto& event : batch) {
      meter.count(event);
      renderer.feed(event);
    }
    const bool last = is_last(batch.back());
    if (stream) {
      const auto bytes = renderer.take();
      if (!bytes.empty()) TACIT_CO_CHECK(co_await call.exchange.write(as_bytes(bytes.reveal())));
    } else if (last) {
      const auto* failed = std::get_if<domain::Failed>(&batch.back());
      const auto body = renderer.take();
      if (failed != nullptr)
        co_await respond_error(call, failed->error);
      else
        co_await respond(call, 200, "application/json", body.reveal());
    }
    if (last) break;
    auto next = co_await generation.next(call.exchange.deadline());
    if (next) {
      batch = std::move(*next);
      continue;
    }
    if (next.error().code() == Code::cancelled) co_return fail(std::move(next).error());
    batch.clear();  // the exchange's time is over: say so to whoever still listens
    batch.emplace_back(domain::Failed{std::move(next).error()});
  }
  if (stream) co_return co_await call.exchange.finish();
  co_return Result<void>{};
}

}  // namespace

Task<> chat_completions(Gateway::Call& call) {
  const auto deadline = call.exchange.deadline();
  auto body = co_await http::read_body(call.exchange, call.options.body_bytes_max);
  if (!body && body.error().code() == Code::deadline_exceeded) {  // the client's delay, not ours
    const auto text = api::openai_error(body.error(), "request_timeout");
    co_await respond(call, 408, "application/json", text);
    co_return;
  }
  if (!body) {
    co_await respond_error(call, body.error());
    co_return;
  }
  auto chat =
      api::openai::parse_chat(body->reveal(), {.body_bytes_max = call.options.body_bytes_max});
  if (!chat) {
    co_await respond_error(call, chat.error());
    co_return;
  }
  *body = SecretText{};  // parsed: the bytes are wiped before a long generation
  call.metrics().unknown_fields.add(chat->num_unknown_fields);
  chat->generate.tenant = call.principal.key_id;

  auto model_name = chat->generate.model;
  auto backend = co_await call.parts.models.acquire(model_name, deadline);
  if (!backend) {
    const bool unknown = backend.error().code() == Code::not_found;
    co_await respond_error(call, backend.error(), unknown ? kModelNotFound : std::string_view{});
    co_return;
  }
  auto request = std::move(chat->generate);
  auto generation = co_await (*backend)->generate(std::move(request), deadline);
  if (!generation) {
    co_await respond_error(call, generation.error());
    co_return;
  }
  // The status is decided by the first event: a prompt that does not fit is a 400, not a stream.
  auto first = co_await (*generation)->next(deadline);
  if (!first) {
    co_await respond_error(call, first.error());
    co_return;
  }
  Meter meter{call.metrics().model((*backend)->model().name), call};
  if (const auto* failed = std::get_if<domain::Failed>(&first->front())) {
    meter.count(first->front());
    co_await respond_error(call, failed->error);
    co_return;
  }
  api::openai::ChatRenderer renderer{{.id = new_chat_id(),
                                      .model = (*backend)->model().name,
                                      .created_unix_s = call.unix_s(),
                                      .stream = chat->stream,
                                      .include_usage = chat->include_usage}};
  auto batch = std::move(*first);
  const auto relayed =
      co_await relay(call, **generation, std::move(batch), renderer, meter, chat->stream);
  if (!relayed) {
    call.parts.log.debug("request.client_left", {{"code", relayed.error().code()}});
  }
}

}  // namespace tacit::gateway
