#include <algorithm>

#include "api/error_map.hpp"
#include "api/json_text.hpp"
#include "api/openai/chat.hpp"
#include "api/openai/wire.hpp"

namespace tacit::api::openai {
namespace {

// {"id":...,"object":...,"created":...,"model":...  — without the closing brace.
JsonText head(const AnswerContext& context, std::string_view object) {
  JsonText out;
  out.raw(R"({"id":"chatcmpl-)").raw(context.id).raw(R"(","object":)").string(object);
  out.raw(R"(,"created":)").number(context.created_unix_s);
  out.raw(R"(,"model":)").string(context.model).raw(R"(,"system_fingerprint":null)");
  return out;
}

SecretText logprobs_object(const std::vector<domain::TokenLogprob>& logprobs) {
  SecretText out{R"({"content":[)"};
  SecretText list;
  append_logprobs(list, logprobs);
  out.append(list.reveal());
  out.append(R"(],"refusal":null})");
  return out;
}

}  // namespace

ChatRenderer::ChatRenderer(Options options) : options_{options}, choices_(options.num_choices) {}

void ChatRenderer::begin(const AnswerContext& context) {
  context_ = context;
  if (!options_.stream) return;
  const auto text = head(context_, "chat.completion.chunk");
  chunk_head_ = "data: ";
  chunk_head_ += text.text().reveal();
  chunk_tail_ = options_.include_usage ? ",\"usage\":null}\n\n" : "}\n\n";
}

void ChatRenderer::feed(std::uint32_t choice, const domain::Event& event) {
  if (const auto* failed = std::get_if<domain::Failed>(&event)) {
    if (options_.stream) out_.append("data: ");
    out_.append(openai_error(failed->error));
    if (options_.stream) out_.append("\n\n");
    return;
  }
  if (const auto* finished = std::get_if<domain::Finished>(&event)) count(*finished, choice);
  if (options_.stream)
    feed_streamed(choice, event);
  else
    feed_whole(choice, event);
}

SecretText ChatRenderer::take() { return std::exchange(out_, SecretText{}); }

// The prompt counts once, however many choices it has; cached is what was there before any of them.
void ChatRenderer::count(const domain::Finished& finished, std::uint32_t choice) {
  const auto cached = finished.usage.cached_prompt_tokens;
  usage_.cached_prompt_tokens =
      num_finished_ == 0 ? cached : std::min(usage_.cached_prompt_tokens, cached);
  ++num_finished_;
  choices_[choice].reason = finished.reason;
  usage_.prompt_tokens = finished.usage.prompt_tokens;
  usage_.completion_tokens += finished.usage.completion_tokens;
}

// One chunk whose delta, finish_reason and logprobs are already JSON.
void ChatRenderer::chunk(std::uint32_t choice, std::string_view delta,
                         std::string_view finish_reason, std::string_view logprobs) {
  out_.append(chunk_head_);
  out_.append(R"(,"choices":[{"index":)");
  out_.append(std::to_string(choice));
  out_.append(R"(,"delta":)");
  out_.append(delta);
  out_.append(R"(,"logprobs":)");
  out_.append(logprobs);
  out_.append(R"(,"finish_reason":)");
  out_.append(finish_reason);
  out_.append("}]");
  out_.append(chunk_tail_);
}

void ChatRenderer::text_chunk(std::uint32_t choice, std::string_view member,
                              const domain::Content& text, std::string_view logprobs) {
  JsonText delta;
  delta.raw("{\"").raw(member).raw("\":").string(text.reveal()).raw("}");
  chunk(choice, delta.text().reveal(), "null", logprobs);
}

void ChatRenderer::call_chunk(std::uint32_t choice, const domain::ToolCallDelta& call) {
  JsonText delta;
  delta.raw(R"({"tool_calls":[{"index":)").number(call.index);
  if (!call.name.empty()) {
    delta.raw(R"(,"id":)").string(call.id).raw(R"(,"type":"function","function":{"name":)");
    delta.string(call.name).raw(R"(,"arguments":)");
  } else {
    delta.raw(R"(,"function":{"arguments":)");
  }
  delta.string(call.arguments.reveal()).raw("}}]}");
  chunk(choice, delta.text().reveal(), "null");
}

void ChatRenderer::feed_streamed(std::uint32_t choice, const domain::Event& event) {
  if (!choices_[choice].role_sent) {
    choices_[choice].role_sent = true;
    chunk(choice, R"({"role":"assistant","content":"","refusal":null})", "null");
  }
  if (const auto* delta = std::get_if<domain::TextDelta>(&event)) {
    if (delta->logprobs.empty()) return text_chunk(choice, "content", delta->text, "null");
    const auto logprobs = logprobs_object(delta->logprobs);
    text_chunk(choice, "content", delta->text, logprobs.reveal());
  } else if (const auto* reasoning = std::get_if<domain::ReasoningDelta>(&event)) {
    text_chunk(choice, "reasoning_content", reasoning->text, "null");
  } else if (const auto* call = std::get_if<domain::ToolCallDelta>(&event)) {
    call_chunk(choice, *call);
  } else if (const auto* finished = std::get_if<domain::Finished>(&event)) {
    JsonText word;
    word.string(finish_word(finished->reason));
    chunk(choice, "{}", word.text().reveal());
    if (num_finished_ < options_.num_choices) return;
    if (options_.include_usage) {
      JsonText last;
      last.raw(chunk_head_).raw(R"(,"choices":[],"usage":)");
      append_usage(last, usage_);
      last.raw("}\n\n");
      out_.append(last.text().reveal());
    }
    out_.append("data: [DONE]\n\n");
  }
}

void ChatRenderer::feed_whole(std::uint32_t index, const domain::Event& event) {
  auto& choice = choices_[index];
  if (const auto* delta = std::get_if<domain::TextDelta>(&event)) {
    choice.content.append(delta->text.reveal());
    append_logprobs(choice.logprobs, delta->logprobs);
  } else if (const auto* reasoning = std::get_if<domain::ReasoningDelta>(&event)) {
    choice.reasoning.append(reasoning->text.reveal());
  } else if (const auto* call = std::get_if<domain::ToolCallDelta>(&event)) {
    auto& into = choice.calls[call->index];
    if (!call->name.empty()) {
      into.id = call->id;
      into.name = call->name;
    }
    into.arguments.append(call->arguments.reveal());
  } else if (std::holds_alternative<domain::Finished>(event) &&
             num_finished_ == options_.num_choices) {
    whole_body();
  }
}

void ChatRenderer::whole_body() {
  auto out = head(context_, "chat.completion");
  out.raw(R"(,"choices":[)");
  for (std::uint32_t i = 0; i < choices_.size(); ++i) {
    const auto& choice = choices_[i];
    if (i > 0) out.raw(",");
    out.raw(R"({"index":)").number(i).raw(R"(,"message":{"role":"assistant","content":)");
    if (choice.content.empty() && !choice.calls.empty())
      out.raw("null");
    else
      out.string(choice.content.reveal());
    if (!choice.reasoning.empty())
      out.raw(R"(,"reasoning_content":)").string(choice.reasoning.reveal());
    if (!choice.calls.empty()) {
      out.raw(R"(,"tool_calls":[)");
      bool first = true;
      for (const auto& [number, call] : choice.calls) {
        if (!first) out.raw(",");
        first = false;
        out.raw(R"({"id":)").string(call.id).raw(R"(,"type":"function","function":{"name":)");
        out.string(call.name).raw(R"(,"arguments":)").string(call.arguments.reveal()).raw("}}");
      }
      out.raw("]");
    }
    out.raw(R"(,"refusal":null,"annotations":[]},"logprobs":)");
    if (options_.logprobs)
      out.raw(R"({"content":[)").raw(choice.logprobs.reveal()).raw(R"(],"refusal":null})");
    else
      out.raw("null");
    out.raw(R"(,"finish_reason":)").string(finish_word(choice.reason)).raw("}");
  }
  out.raw(R"(],"usage":)");
  append_usage(out, usage_);
  out.raw("}");
  out_ = std::move(out).take();
}

}  // namespace tacit::api::openai
