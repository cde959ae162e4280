#include "api/anthropic/messages.hpp"
#include "api/error_map.hpp"
#include "api/json_text.hpp"

namespace tacit::api::anthropic {
namespace {

std::string_view error_type(int status) noexcept {
  switch (status) {
    case 400: return "invalid_request_error";
    case 401: return "authentication_error";
    case 403: return "permission_error";
    case 404: return "not_found_error";
    case 405: return "invalid_request_error";
    case 408:
    case 504: return "timeout_error";
    case 413: return "request_too_large";
    case 429: return "rate_limit_error";
    case 503: return "overloaded_error";
    default: return "api_error";
  }
}

std::string error_body(const Error& error, std::string_view /*code*/) {
  JsonText out;
  out.raw(R"({"type":"error","error":{"type":)")
      .string(error_type(error_shape(error.code()).status));
  out.raw(R"(,"message":)").string(error.explain()).raw(R"(},"request_id":null})");
  return std::string{out.text().reveal()};
}

std::string_view stop_reason(const domain::Finished& finished) noexcept {
  if (finished.stop_index) return "stop_sequence";
  switch (finished.reason) {
    case domain::FinishReason::length: return "max_tokens";
    case domain::FinishReason::tool_calls: return "tool_use";
    case domain::FinishReason::stop: break;
  }
  return "end_turn";
}

void append_usage(JsonText& out, std::uint32_t input, std::uint32_t cached, std::uint32_t output) {
  out.raw(R"({"input_tokens":)").number(input - cached);
  out.raw(R"(,"cache_creation_input_tokens":0,"cache_read_input_tokens":)").number(cached);
  out.raw(R"(,"output_tokens":)").number(output).raw("}");
}

// {"id":...,"type":"message",... up to and without "content".
void append_head(JsonText& out, const AnswerContext& context) {
  out.raw(R"({"id":"msg_)")
      .raw(context.id)
      .raw(R"(","type":"message","role":"assistant","model":)");
  out.string(context.model);
}

}  // namespace

const Dialect kDialect{error_body};

MessagesRenderer::MessagesRenderer(bool stream, std::vector<domain::Content> stops)
    : stream_{stream}, stops_{std::move(stops)} {}

SecretText MessagesRenderer::take() { return std::exchange(out_, SecretText{}); }

void MessagesRenderer::event(std::string_view name, std::string_view json) {
  out_.append("event: ");
  out_.append(name);
  out_.append("\ndata: ");
  out_.append(json);
  out_.append("\n\n");
}

void MessagesRenderer::feed(std::uint32_t /*choice*/, const domain::Event& each) {
  if (const auto* failed = std::get_if<domain::Failed>(&each)) {
    const auto body = error_body(failed->error, {});
    if (stream_)
      event("error", body);
    else
      out_.append(body);
    return;
  }
  if (const auto* started = std::get_if<domain::Started>(&each))
    return start(started->prompt_tokens);
  if (!started_) start(0);
  if (const auto* delta = std::get_if<domain::TextDelta>(&each)) text(Block::text, delta->text);
  if (const auto* thought = std::get_if<domain::ReasoningDelta>(&each))
    text(Block::thinking, thought->text);
  if (const auto* call = std::get_if<domain::ToolCallDelta>(&each)) tool(*call);
  if (const auto* finished = std::get_if<domain::Finished>(&each)) finish(*finished);
}

void MessagesRenderer::start(std::uint32_t prompt_tokens) {
  started_ = true;
  prompt_tokens_ = prompt_tokens;
  if (!stream_) return;
  JsonText out;
  out.raw(R"({"type":"message_start","message":)");
  append_head(out, context_);
  out.raw(R"(,"content":[],"stop_reason":null,"stop_sequence":null,"usage":)");
  append_usage(out, prompt_tokens, 0, 0);
  out.raw("}}");
  event("message_start", out.text().reveal());
}

void MessagesRenderer::open(Block kind, std::string_view block_json) {
  close();
  open_ = kind;
  if (!stream_) return;
  JsonText out;
  out.raw(R"({"type":"content_block_start","index":)").number(num_blocks_);
  out.raw(R"(,"content_block":)").raw(block_json).raw("}");
  event("content_block_start", out.text().reveal());
}

void MessagesRenderer::close() {
  if (open_ == Block::none) return;
  if (stream_) {
    if (open_ == Block::thinking) delta("signature_delta", "signature", "");
    JsonText out;
    out.raw(R"({"type":"content_block_stop","index":)").number(num_blocks_).raw("}");
    event("content_block_stop", out.text().reveal());
  }
  open_ = Block::none;
  ++num_blocks_;
}

void MessagesRenderer::delta(std::string_view type, std::string_view member,
                             std::string_view text) {
  JsonText out;
  out.raw(R"({"type":"content_block_delta","index":)").number(num_blocks_);
  out.raw(R"(,"delta":{"type":")").raw(type).raw(R"(",")").raw(member).raw("\":");
  out.string(text).raw("}}");
  event("content_block_delta", out.text().reveal());
}

void MessagesRenderer::text(Block kind, const domain::Content& text) {
  if (text.empty()) return;
  const bool thinking = kind == Block::thinking;
  if (open_ != kind) {
    open(kind, thinking ? R"({"type":"thinking","thinking":"","signature":""})"
                        : R"({"type":"text","text":""})");
    if (!stream_) blocks_.push_back({kind, {}, {}, {}});
  }
  if (!stream_)
    blocks_.back().text.append(text.reveal());
  else if (thinking)
    delta("thinking_delta", "thinking", text.reveal());
  else
    delta("text_delta", "text", text.reveal());
}

void MessagesRenderer::tool(const domain::ToolCallDelta& call) {
  if (!call.name.empty()) {
    JsonText block;
    block.raw(R"({"type":"tool_use","id":)").string(call.id).raw(R"(,"name":)").string(call.name);
    block.raw(R"(,"input":{}})");
    open(Block::tool, block.text().reveal());
    if (!stream_) blocks_.push_back({Block::tool, call.id, call.name, {}});
  }
  if (call.arguments.empty()) return;
  if (stream_)
    delta("input_json_delta", "partial_json", call.arguments.reveal());
  else if (!blocks_.empty())
    blocks_.back().text.append(call.arguments.reveal());
}

void MessagesRenderer::finish(const domain::Finished& finished) {
  close();
  JsonText ending;  // "stop_reason":..,"stop_sequence":..
  ending.raw(R"("stop_reason":)").string(stop_reason(finished)).raw(R"(,"stop_sequence":)");
  if (finished.stop_index && *finished.stop_index < stops_.size())
    ending.string(stops_[*finished.stop_index].reveal());
  else
    ending.raw("null");
  const auto& usage = finished.usage;
  JsonText out;
  if (stream_) {
    out.raw(R"({"type":"message_delta","delta":{)")
        .raw(ending.text().reveal())
        .raw(R"(},"usage":)");
    append_usage(out, usage.prompt_tokens, usage.cached_prompt_tokens, usage.completion_tokens);
    out.raw("}");
    event("message_delta", out.text().reveal());
    event("message_stop", R"({"type":"message_stop"})");
    return;
  }
  append_head(out, context_);
  out.raw(R"(,"content":[)");
  for (std::size_t i = 0; i < blocks_.size(); ++i) {
    const auto& block = blocks_[i];
    if (i > 0) out.raw(",");
    if (block.kind == Block::text) {
      out.raw(R"({"type":"text","text":)").string(block.text.reveal()).raw("}");
    } else if (block.kind == Block::thinking) {
      out.raw(R"({"type":"thinking","thinking":)").string(block.text.reveal());
      out.raw(R"(,"signature":""})");
    } else {
      out.raw(R"({"type":"tool_use","id":)").string(block.id).raw(R"(,"name":)").string(block.name);
      out.raw(R"(,"input":)").raw(valid_object(block.text.reveal())).raw("}");
    }
  }
  out.raw("],").raw(ending.text().reveal()).raw(R"(,"usage":)");
  append_usage(out, usage.prompt_tokens, usage.cached_prompt_tokens, usage.completion_tokens);
  out.raw("}");
  out_.append(out.text().reveal());
}

}  // namespace tacit::api::anthropic
