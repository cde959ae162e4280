#include <fmt/chrono.h>
#include <fmt/format.h>

#include "api/error_map.hpp"
#include "api/json_text.hpp"
#include "api/ollama/ollama.hpp"

namespace tacit::api::ollama {
namespace {

// The version of Ollama whose API this module follows; clients ask for at least some version.
constexpr std::string_view kOllamaVersion = "0.13.0";

std::string error_body(const Error& error, std::string_view /*code*/) {
  JsonText out;
  out.raw(R"({"error":)").string(error.explain()).raw("}");
  return std::string{out.text().reveal()};
}

std::string rfc3339(std::int64_t unix_s) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%SZ}", fmt::gmtime(static_cast<std::time_t>(unix_s)));
}

std::string_view hex_of(std::string_view digest) {
  constexpr std::string_view prefix = "sha256:";
  return digest.starts_with(prefix) ? digest.substr(prefix.size()) : digest;
}

constexpr std::string_view kDetails =
    R"("details":{"parent_model":"","format":"gguf","family":"","families":[],)"
    R"("parameter_size":"","quantization_level":""})";

void append_model(JsonText& out, const domain::ModelInfo& model) {
  out.raw(R"({"name":)").string(model.name).raw(R"(,"model":)").string(model.name);
  out.raw(R"(,"size":)").number(static_cast<std::int64_t>(model.size_bytes));
  out.raw(R"(,"digest":)").string(hex_of(model.digest)).raw(",").raw(kDetails);
}

}  // namespace

const Dialect kDialect{error_body};

std::string render_tags(std::span<const domain::ModelInfo> models, std::int64_t now_unix_s) {
  JsonText out;
  out.raw(R"({"models":[)");
  for (std::size_t i = 0; i < models.size(); ++i) {
    if (i > 0) out.raw(",");
    append_model(out, models[i]);
    out.raw(R"(,"modified_at":)").string(rfc3339(now_unix_s)).raw("}");
  }
  out.raw("]}");
  return std::string{out.text().reveal()};
}

std::string render_ps(std::span<const domain::ModelInfo> models, std::int64_t now_unix_s) {
  constexpr std::int64_t kNoEnd = 100LL * 365 * 24 * 3600;
  JsonText out;
  out.raw(R"({"models":[)");
  bool first = true;
  for (const auto& model : models) {
    if (model.context_tokens_max == 0) continue;  // known only of those that are loaded
    if (!first) out.raw(",");
    first = false;
    append_model(out, model);
    out.raw(R"(,"expires_at":)").string(rfc3339(now_unix_s + kNoEnd));
    out.raw(R"(,"size_vram":0,"context_length":)").number(model.context_tokens_max).raw("}");
  }
  out.raw("]}");
  return std::string{out.text().reveal()};
}

std::string render_version(std::string_view version) {
  JsonText out;
  out.raw(R"({"version":)").string(kOllamaVersion).raw(R"(,"tacit":)").string(version).raw("}");
  return std::string{out.text().reveal()};
}

std::string render_show(const domain::ModelInfo& model, std::int64_t now_unix_s) {
  JsonText out;
  out.raw(R"({"modelfile":"","parameters":"","template":"","modified_at":)");
  out.string(rfc3339(now_unix_s)).raw(",").raw(kDetails);
  out.raw(R"(,"model_info":{)");
  if (model.context_tokens_max > 0)
    out.raw(R"("general.context_length":)").number(model.context_tokens_max);
  out.raw(R"(},"capabilities":["completion","tools"]})");
  return std::string{out.text().reveal()};
}

void AnswerRenderer::begin(const AnswerContext& context) {
  context_ = context;
  created_ = rfc3339(context.created_unix_s);
}

SecretText AnswerRenderer::take() { return std::exchange(out_, SecretText{}); }

void AnswerRenderer::line(std::string_view text, std::string_view thinking, std::string_view calls,
                          const domain::Finished* finished) {
  JsonText out;
  out.raw(R"({"model":)").string(context_.model).raw(R"(,"created_at":)").string(created_);
  if (options_.chat) {
    out.raw(R"(,"message":{"role":"assistant","content":)").string(text);
    if (!thinking.empty()) out.raw(R"(,"thinking":)").string(thinking);
    if (!calls.empty()) out.raw(R"(,"tool_calls":[)").raw(calls).raw("]");
    out.raw("}");
  } else {
    out.raw(R"(,"response":)").string(text);
    if (!thinking.empty()) out.raw(R"(,"thinking":)").string(thinking);
  }
  if (finished == nullptr) {
    out.raw(R"(,"done":false})");
  } else {
    const bool length = finished->reason == domain::FinishReason::length;
    out.raw(R"(,"done":true,"done_reason":)")
        .string(options_.only_load ? "load"
                : length           ? "length"
                                   : "stop");
    if (!options_.only_load) {
      out.raw(R"(,"total_duration":)").number(timing_.total.count());
      out.raw(R"(,"load_duration":)").number(timing_.load.count());
      out.raw(R"(,"prompt_eval_count":)").number(finished->usage.prompt_tokens);
      out.raw(R"(,"prompt_eval_duration":)").number(timing_.prompt.count());
      out.raw(R"(,"eval_count":)").number(finished->usage.completion_tokens);
      out.raw(R"(,"eval_duration":)").number(timing_.generate.count());
    }
    out.raw("}");
  }
  if (options_.stream) out.raw("\n");
  out_.append(out.text().reveal());
}

// Calls are told when they are whole: Ollama's clients want their arguments as an object.
SecretText AnswerRenderer::take_calls() {
  JsonText out;
  for (const auto& [index, call] : calls_) {
    if (!out.empty()) out.raw(",");
    out.raw(R"({"id":)").string(call.id).raw(R"(,"function":{"index":)").number(index);
    out.raw(R"(,"name":)").string(call.name).raw(R"(,"arguments":)");
    out.raw(valid_object(call.arguments.reveal())).raw("}}");
  }
  calls_.clear();
  return std::move(out).take();
}

void AnswerRenderer::feed(std::uint32_t /*choice*/, const domain::Event& event) {
  if (const auto* failed = std::get_if<domain::Failed>(&event)) {
    out_.append(error_body(failed->error, {}));
    if (options_.stream) out_.append("\n");
  } else if (const auto* delta = std::get_if<domain::TextDelta>(&event)) {
    if (options_.stream)
      line(delta->text.reveal(), {}, {}, nullptr);
    else
      text_.append(delta->text.reveal());
  } else if (const auto* thought = std::get_if<domain::ReasoningDelta>(&event)) {
    if (options_.stream)
      line({}, thought->text.reveal(), {}, nullptr);
    else
      thinking_.append(thought->text.reveal());
  } else if (const auto* call = std::get_if<domain::ToolCallDelta>(&event)) {
    auto& into = calls_[call->index];
    if (!call->name.empty()) {
      into.id = call->id;
      into.name = call->name;
    }
    into.arguments.append(call->arguments.reveal());
  } else if (const auto* finished = std::get_if<domain::Finished>(&event)) {
    const auto calls = take_calls();
    if (options_.stream && !calls.empty()) line({}, {}, calls.reveal(), nullptr);
    line(text_.reveal(), thinking_.reveal(), options_.stream ? std::string_view{} : calls.reveal(),
         finished);
  }
}

}  // namespace tacit::api::ollama
