#include "api/error_map.hpp"
#include "api/json_text.hpp"
#include "api/openai/chat.hpp"

namespace tacit::api::openai {
namespace {

std::string_view finish_word(domain::FinishReason reason) noexcept {
  return reason == domain::FinishReason::length ? R"("length")" : R"("stop")";
}

void append_usage(JsonText& out, const domain::Usage& usage) {
  out.raw(R"({"prompt_tokens":)").number(usage.prompt_tokens);
  out.raw(R"(,"completion_tokens":)").number(usage.completion_tokens);
  out.raw(R"(,"total_tokens":)")
      .number(std::int64_t{usage.prompt_tokens} + usage.completion_tokens);
  out.raw(R"(,"prompt_tokens_details":{"cached_tokens":)")
      .number(usage.cached_prompt_tokens)
      .raw("}}");
}

// {"id":...,"object":...,"created":...,"model":...  — without the closing brace.
JsonText head(const ChatRenderer::Options& options, std::string_view object) {
  JsonText out;
  out.raw(R"({"id":)").string(options.id).raw(R"(,"object":)").string(object);
  out.raw(R"(,"created":)").number(options.created_unix_s);
  out.raw(R"(,"model":)").string(options.model).raw(R"(,"system_fingerprint":null)");
  return out;
}

}  // namespace

ChatRenderer::ChatRenderer(Options options) : options_{std::move(options)} {
  if (!options_.stream) return;
  auto text = head(options_, "chat.completion.chunk");
  chunk_head_ = "data: ";
  chunk_head_ += text.text().reveal();
  chunk_tail_ = options_.include_usage ? ",\"usage\":null}\n\n" : "}\n\n";
}

void ChatRenderer::feed(const domain::Event& event) {
  if (options_.stream)
    feed_streamed(event);
  else
    feed_whole(event);
}

SecretText ChatRenderer::take() { return std::exchange(out_, SecretText{}); }

// One chunk whose delta and finish_reason are already JSON.
void ChatRenderer::chunk(std::string_view delta, std::string_view finish_reason) {
  out_.append(chunk_head_);
  out_.append(R"(,"choices":[{"index":0,"delta":)");
  out_.append(delta);
  out_.append(R"(,"logprobs":null,"finish_reason":)");
  out_.append(finish_reason);
  out_.append("}]");
  out_.append(chunk_tail_);
}

void ChatRenderer::text_chunk(std::string_view member, const domain::Content& text) {
  JsonText delta;
  delta.raw("{\"").raw(member).raw("\":").string(text.reveal()).raw("}");
  chunk(delta.text().reveal(), "null");
}

void ChatRenderer::feed_streamed(const domain::Event& event) {
  if (const auto* failed = std::get_if<domain::Failed>(&event)) {
    out_.append("data: ");
    out_.append(openai_error(failed->error));
    out_.append("\n\n");
    return;
  }
  if (!role_sent_) {
    role_sent_ = true;
    chunk(R"({"role":"assistant","content":"","refusal":null})", "null");
  }
  if (const auto* delta = std::get_if<domain::TextDelta>(&event)) {
    text_chunk("content", delta->text);
  } else if (const auto* reasoning = std::get_if<domain::ReasoningDelta>(&event)) {
    text_chunk("reasoning_content", reasoning->text);
  } else if (const auto* finished = std::get_if<domain::Finished>(&event)) {
    chunk("{}", finish_word(finished->reason));
    if (options_.include_usage) {
      JsonText last;
      last.raw(chunk_head_).raw(R"(,"choices":[],"usage":)");
      append_usage(last, finished->usage);
      last.raw("}\n\n");
      out_.append(last.text().reveal());
    }
    out_.append("data: [DONE]\n\n");
  }
}

void ChatRenderer::feed_whole(const domain::Event& event) {
  if (const auto* delta = std::get_if<domain::TextDelta>(&event)) {
    content_.append(delta->text.reveal());
  } else if (const auto* reasoning = std::get_if<domain::ReasoningDelta>(&event)) {
    reasoning_.append(reasoning->text.reveal());
  } else if (const auto* finished = std::get_if<domain::Finished>(&event)) {
    auto out = head(options_, "chat.completion");
    out.raw(R"(,"choices":[{"index":0,"message":{"role":"assistant","content":)")
        .string(content_.reveal());
    if (!reasoning_.empty()) out.raw(R"(,"reasoning_content":)").string(reasoning_.reveal());
    out.raw(R"(,"refusal":null,"annotations":[]},"logprobs":null,"finish_reason":)")
        .raw(finish_word(finished->reason));
    out.raw(R"(}],"usage":)");
    append_usage(out, finished->usage);
    out.raw("}");
    out_ = std::move(out).take();
  } else if (const auto* failed = std::get_if<domain::Failed>(&event)) {
    out_.append(openai_error(failed->error));
  }
}

}  // namespace tacit::api::openai
