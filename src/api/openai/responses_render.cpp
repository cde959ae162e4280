#include "api/error_map.hpp"
#include "api/openai/responses.hpp"
#include "api/openai/wire.hpp"

namespace tacit::api::openai {
namespace {

void append_usage_of_response(JsonText& out, const domain::Usage& usage,
                              std::uint32_t reasoning_tokens) {
  out.raw(R"({"input_tokens":)").number(usage.prompt_tokens);
  out.raw(R"(,"input_tokens_details":{"cached_tokens":)").number(usage.cached_prompt_tokens);
  out.raw(R"(,"cache_write_tokens":0},"output_tokens":)").number(usage.completion_tokens);
  out.raw(R"(,"output_tokens_details":{"reasoning_tokens":)").number(reasoning_tokens);
  out.raw(R"(},"total_tokens":)")
      .number(std::int64_t{usage.prompt_tokens} + usage.completion_tokens)
      .raw("}");
}

}  // namespace

void ResponsesRenderer::event(std::string_view type, std::string_view members) {
  JsonText json;
  json.raw(R"({"type":")").raw(type).raw(R"(","sequence_number":)").number(sequence_++);
  json.raw(",").raw(members).raw("}");
  out_.append("event: ");
  out_.append(type);
  out_.append("\ndata: ");
  out_.append(json.text().reveal());
  out_.append("\n\n");
}

SecretText ResponsesRenderer::response(std::string_view status, std::string_view details,
                                       const domain::Usage* usage) {
  JsonText out;
  out.raw(R"({"id":"resp_)").raw(context_.id).raw(R"(","object":"response","created_at":)");
  out.number(context_.created_unix_s).raw(R"(,"status":)").string(status);
  out.raw(R"(,"background":false,"completed_at":)");
  if (status == "completed")
    out.number(context_.created_unix_s);
  else
    out.raw("null");
  out.raw(",").raw(details).raw(R"(,"instructions":)").raw(echo_.instructions.reveal());
  out.raw(R"(,"max_output_tokens":)").raw(echo_.max_output_tokens);
  out.raw(R"(,"max_tool_calls":null,"model":)").string(context_.model);
  out.raw(R"(,"output":[)").raw(items_.reveal()).raw(R"(],"parallel_tool_calls":)");
  out.boolean(echo_.parallel_tool_calls);
  out.raw(R"(,"previous_response_id":null,"prompt_cache_key":null,"reasoning":{"effort":)");
  out.raw(echo_.effort)
      .raw(R"(,"summary":null},"safety_identifier":null,"service_tier":"default")");
  out.raw(R"(,"store":false,"temperature":)").raw(echo_.temperature);
  out.raw(R"(,"text":{"format":)").raw(echo_.format.reveal()).raw(R"(,"verbosity":"medium"})");
  out.raw(R"(,"tool_choice":)").raw(echo_.tool_choice).raw(R"(,"tools":)");
  out.raw(echo_.tools.reveal()).raw(R"(,"top_logprobs":)").number(echo_.top_logprobs);
  out.raw(R"(,"top_p":)").raw(echo_.top_p).raw(R"(,"truncation":"disabled","usage":)");
  if (usage == nullptr)
    out.raw("null");
  else
    append_usage_of_response(out, *usage, reasoning_tokens_);
  out.raw(R"(,"user":null,"metadata":)").raw(echo_.metadata.reveal()).raw("}");
  return std::move(out).take();
}

void ResponsesRenderer::start() {
  started_ = true;
  if (!stream_) return;
  for (const auto type : {"response.created", "response.in_progress"}) {
    JsonText members;
    const auto json = response("in_progress", R"("error":null,"incomplete_details":null)", nullptr);
    members.raw(R"("response":)").raw(json.reveal());
    event(type, members.text().reveal());
  }
}

std::string ResponsesRenderer::item_id() const {
  const char* prefix = kind_ == Kind::message ? "msg_" : kind_ == Kind::reasoning ? "rs_" : "fc_";
  return prefix + context_.id + '_' + std::to_string(index_);
}

SecretText ResponsesRenderer::part(bool empty) const {
  JsonText out;
  const auto text = empty ? std::string_view{} : text_.reveal();
  if (kind_ == Kind::reasoning) {
    out.raw(R"({"type":"reasoning_text","text":)").string(text).raw("}");
  } else {
    out.raw(R"({"type":"output_text","text":)")
        .string(text)
        .raw(R"(,"annotations":[],"logprobs":[)");
    if (!empty) out.raw(logprobs_.reveal());
    out.raw("]}");
  }
  return std::move(out).take();
}

SecretText ResponsesRenderer::item(std::string_view status, bool empty) const {
  JsonText out;
  out.raw(R"({"id":)").string(item_id());
  if (kind_ == Kind::call) {
    out.raw(R"(,"type":"function_call","status":)").string(status);
    out.raw(R"(,"call_id":)").string(call_id_).raw(R"(,"name":)").string(name_);
    out.raw(R"(,"arguments":)").string(empty ? std::string_view{} : text_.reveal()).raw("}");
    return std::move(out).take();
  }
  if (kind_ == Kind::message)
    out.raw(R"(,"type":"message","role":"assistant","status":)").string(status);
  else
    out.raw(R"(,"type":"reasoning","summary":[],"status":)").string(status);
  out.raw(R"(,"content":[)");
  if (!empty) {
    const auto json = part(false);
    out.raw(json.reveal());
  }
  out.raw("]}");
  return std::move(out).take();
}

void ResponsesRenderer::open(Kind kind, std::string_view call_id, std::string_view name) {
  close("completed");
  kind_ = kind;
  call_id_ = call_id;
  name_ = name;
  text_ = SecretText{};
  logprobs_ = SecretText{};
  if (!stream_) return;
  JsonText added;
  const auto json = item("in_progress", true);
  added.raw(R"("output_index":)").number(index_).raw(R"(,"item":)").raw(json.reveal());
  event("response.output_item.added", added.text().reveal());
  if (kind == Kind::call) return;
  JsonText members;
  const auto first = part(true);
  members.raw(R"("item_id":)").string(item_id()).raw(R"(,"output_index":)").number(index_);
  members.raw(R"(,"content_index":0,"part":)").raw(first.reveal());
  event("response.content_part.added", members.text().reveal());
}

void ResponsesRenderer::close(std::string_view status) {
  if (kind_ == Kind::none) return;
  const auto whole = item(status, false);
  if (stream_) {
    JsonText place;
    place.raw(R"("item_id":)").string(item_id()).raw(R"(,"output_index":)").number(index_);
    JsonText done;
    done.raw(place.text().reveal());
    if (kind_ == Kind::call) {
      done.raw(R"(,"name":)").string(name_).raw(R"(,"arguments":)").string(text_.reveal());
      event("response.function_call_arguments.done", done.text().reveal());
    } else {
      done.raw(R"(,"content_index":0,"text":)").string(text_.reveal());
      if (kind_ == Kind::message) done.raw(R"(,"logprobs":[)").raw(logprobs_.reveal()).raw("]");
      event(kind_ == Kind::message ? "response.output_text.done" : "response.reasoning_text.done",
            done.text().reveal());
      JsonText members;
      const auto json = part(false);
      members.raw(place.text().reveal()).raw(R"(,"content_index":0,"part":)").raw(json.reveal());
      event("response.content_part.done", members.text().reveal());
    }
    JsonText members;
    members.raw(R"("output_index":)").number(index_).raw(R"(,"item":)").raw(whole.reveal());
    event("response.output_item.done", members.text().reveal());
  }
  if (!items_.empty()) items_.append(",");
  items_.append(whole.reveal());
  kind_ = Kind::none;
  ++index_;
}

void ResponsesRenderer::delta(std::string_view type, std::string_view text,
                              std::string_view logprobs) {
  text_.append(text);
  if (!stream_) return;
  JsonText members;
  members.raw(R"("item_id":)").string(item_id()).raw(R"(,"output_index":)").number(index_);
  if (kind_ != Kind::call) members.raw(R"(,"content_index":0)");
  members.raw(R"(,"delta":)").string(text);
  if (kind_ == Kind::message) members.raw(R"(,"logprobs":[)").raw(logprobs).raw("]");
  event(type, members.text().reveal());
}

void ResponsesRenderer::message_text(const domain::TextDelta& text) {
  if (kind_ != Kind::message) open(Kind::message, {}, {});
  SecretText logprobs;
  append_logprobs(logprobs, text.logprobs);
  if (!logprobs.empty()) {
    if (!logprobs_.empty()) logprobs_.append(",");
    logprobs_.append(logprobs.reveal());
  }
  delta("response.output_text.delta", text.text.reveal(), logprobs.reveal());
}

void ResponsesRenderer::feed(std::uint32_t /*choice*/, const domain::Event& each) {
  if (const auto* failure = std::get_if<domain::Failed>(&each)) return failed(failure->error);
  if (!started_) start();
  if (const auto* text = std::get_if<domain::TextDelta>(&each)) {
    message_text(*text);
  } else if (const auto* reasoning = std::get_if<domain::ReasoningDelta>(&each)) {
    reasoning_tokens_ += reasoning->num_tokens;
    if (kind_ != Kind::reasoning) open(Kind::reasoning, {}, {});
    delta("response.reasoning_text.delta", reasoning->text.reveal(), {});
  } else if (const auto* call = std::get_if<domain::ToolCallDelta>(&each)) {
    if (!call->name.empty()) open(Kind::call, call->id, call->name);
    if (!call->arguments.empty())
      delta("response.function_call_arguments.delta", call->arguments.reveal(), {});
  } else if (const auto* finished = std::get_if<domain::Finished>(&each)) {
    finish(*finished);
  }
}

void ResponsesRenderer::finish(const domain::Finished& finished) {
  const bool cut_off = finished.reason == domain::FinishReason::length;
  close(cut_off ? "incomplete" : "completed");
  const auto json =
      response(cut_off ? "incomplete" : "completed",
               cut_off ? R"("error":null,"incomplete_details":{"reason":"max_output_tokens"})"
                       : R"("error":null,"incomplete_details":null)",
               &finished.usage);
  if (!stream_) return out_.append(json.reveal());
  JsonText members;
  members.raw(R"("response":)").raw(json.reveal());
  event(cut_off ? "response.incomplete" : "response.completed", members.text().reveal());
}

void ResponsesRenderer::failed(const Error& error) {
  if (!stream_) return out_.append(openai_error(error));
  if (!started_) start();
  close("incomplete");
  JsonText details;
  details.raw(R"("error":{"code":"server_error","message":)").string(error.explain());
  details.raw(R"(},"incomplete_details":null)");
  const auto json = response("failed", details.text().reveal(), nullptr);
  JsonText members;
  members.raw(R"("response":)").raw(json.reveal());
  event("response.failed", members.text().reveal());
}

}  // namespace tacit::api::openai
