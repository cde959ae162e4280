#include "api/openai/wire.hpp"

#include <algorithm>
#include <array>

#include "api/error_map.hpp"
#include "api/openai/chat.hpp"
#include "core/text.hpp"

namespace tacit::api::openai {
namespace json = boost::json;

const Dialect kDialect{openai_error};

std::string_view finish_word(domain::FinishReason reason) noexcept {
  switch (reason) {
    case domain::FinishReason::length: return "length";
    case domain::FinishReason::tool_calls: return "tool_calls";
    case domain::FinishReason::stop: break;
  }
  return "stop";
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

namespace {

void append_token(JsonText& out, const domain::TokenLogprob& token) {
  out.raw(R"({"token":)").string_of_bytes(token.bytes.reveal());
  out.raw(R"(,"logprob":)").real(token.logprob).raw(R"(,"bytes":[)");
  bool first = true;
  for (const char c : token.bytes.reveal()) {
    if (!first) out.raw(",");
    first = false;
    out.number(static_cast<unsigned char>(c));
  }
  out.raw("]");
}

}  // namespace

void append_logprobs(SecretText& out, const std::vector<domain::TokenLogprob>& logprobs) {
  for (const auto& each : logprobs) {
    JsonText text;
    if (!out.empty()) text.raw(",");
    append_token(text, each);
    text.raw(R"(,"top_logprobs":[)");
    for (std::size_t i = 0; i < each.top.size(); ++i) {
      if (i > 0) text.raw(",");
      append_token(text, each.top[i]);
      text.raw("}");
    }
    text.raw("]}");
    out.append(text.text().reveal());
  }
}

Result<domain::Content> read_parts(const Field& field,
                                   std::span<const std::string_view> text_kinds) {
  if (field.value() == nullptr) return fail(field.missing());
  if (const auto* text = field.value()->if_string()) return domain::Content{view(*text)};
  const auto* parts = field.value()->if_array();
  if (parts == nullptr)
    return fail(field.error(Code::invalid_argument, "must be a string or an array of parts"));
  domain::Content joined;
  for (std::size_t i = 0; i < parts->size(); ++i) {
    TACIT_TRY(const auto* part, object_at(*parts, i, field.path()));
    const auto path = at(field.path(), i);
    const Field type{*part, "type", path};
    TACIT_TRY(const auto kind, type.text());
    const bool refusal = kind == "refusal";
    if (!kind || (!refusal && std::ranges::find(text_kinds, *kind) == text_kinds.end()))
      return fail(type.error(Code::unsupported, "only text parts are supported by this server"));
    TACIT_TRY(const auto piece, Field(*part, refusal ? "refusal" : "text", path).required_text());
    joined.append(piece);
  }
  return joined;
}

Result<domain::Effort> read_effort(const Field& field) {
  using Effort = domain::Effort;
  TACIT_TRY(const auto word, field.text());
  if (!word) return Effort::unset;
  if (*word == "none") return Effort::none;
  if (*word == "minimal") return Effort::minimal;
  if (*word == "low") return Effort::low;
  if (*word == "medium") return Effort::medium;
  if (*word == "high" || *word == "xhigh" || *word == "max") return Effort::high;
  return fail(
      field.error(Code::invalid_argument, "must be one of none, minimal, low, medium, high"));
}

Result<std::vector<domain::LogitBias>> read_logit_bias(const Field& field) {
  constexpr std::size_t biases_max = 4096;
  std::vector<domain::LogitBias> biases;
  TACIT_TRY(const auto* object, field.object());
  if (object == nullptr) return biases;
  if (object->size() > biases_max) {
    return fail(field.error(Code::too_large, "too many biases")
                    .with("limit", static_cast<std::int64_t>(biases_max)));
  }
  for (const auto& member : *object) {
    const auto token = parse_u64({member.key().data(), member.key().size()});
    if (!token || *token > 10'000'000)
      return fail(field.error(Code::invalid_argument, "keys must be numbers of tokens"));
    if (!member.value().is_number())
      return fail(field.error(Code::invalid_argument, "values must be numbers"));
    const auto bias = member.value().to_number<double>();
    if (!(bias >= -100 && bias <= 100))
      return fail(field.error(Code::invalid_argument, "a bias is out of range"));
    biases.push_back({static_cast<std::int32_t>(*token), static_cast<float>(bias)});
  }
  return biases;
}

Result<bool> read_include_usage(const json::object& root, bool stream) {
  const Field options{root, "stream_options"};
  TACIT_TRY(const auto* object, options.object());
  if (object == nullptr) return false;
  if (!stream)
    return fail(options.error(Code::invalid_argument, "is only allowed when stream is true"));
  TACIT_TRY(const auto usage, Field(*object, "include_usage", options.path()).boolean());
  return usage.value_or(false);
}

Result<domain::Constraint> read_format(const Field& field, bool named) {
  TACIT_TRY(const auto* object, field.object());
  if (object == nullptr) return domain::Constraint{};
  const Field type{*object, "type", field.path()};
  TACIT_TRY(const auto word, type.text());
  if (word == "text") return domain::Constraint{};
  const auto from = [](const Field& schema) {
    return domain::Constraint{domain::Constraint::Kind::json_schema, json_of(*schema.value())};
  };
  if (word == "json_object") {
    const Field schema{*object, "schema", field.path()};  // llama.cpp's server has it
    TACIT_TRY(const auto* there, schema.object());
    return there == nullptr ? any_object() : from(schema);
  }
  if (word != "json_schema") {
    return fail(
        type.error(Code::invalid_argument, "must be one of text, json_object, json_schema"));
  }
  const auto* holder = object;
  auto path = field.path();
  if (named) {
    const Field inner{*object, "json_schema", path};
    TACIT_TRY(holder, inner.object());
    if (holder == nullptr) return fail(inner.missing());
    path = inner.path();
  }
  const Field schema{*holder, "schema", path};
  TACIT_CHECK(schema.required_object());
  return from(schema);
}

namespace {

Result<std::string> read_choice_name(const json::object& object, const std::string& path) {
  const Field function{object, "function", path};
  TACIT_TRY(const auto* inner, function.object());
  const Field name{inner == nullptr ? object : *inner, "name",
                   inner == nullptr ? path : function.path()};
  TACIT_TRY(const auto text, name.required_name());
  return std::string{text};
}

// {"mode","tools":[{"function":{"name"}}]}: only these remain.
Result<void> allow_tools(const json::object& object, const std::string& path,
                         domain::GenerateRequest& request) {
  const Field list_field{object, "tools", path};
  TACIT_TRY(const auto* list, list_field.array());
  std::vector<std::string> names;
  for (std::size_t i = 0; list != nullptr && i < list->size(); ++i) {
    TACIT_TRY(const auto* each, object_at(*list, i, list_field.path()));
    TACIT_TRY(auto name, read_choice_name(*each, at(list_field.path(), i)));
    names.push_back(std::move(name));
  }
  std::erase_if(request.tools, [&](const auto& tool) {
    return std::ranges::find(names, tool.name) == names.end();
  });
  TACIT_TRY(const auto mode, Field(object, "mode", path).text());
  if (mode == "required") request.tool_choice.use = domain::ToolUse::required;
  return {};
}

}  // namespace

Result<void> read_tool_choice(const Field& field, domain::GenerateRequest& request) {
  auto& choice = request.tool_choice;
  const auto* value = field.value();
  if (value == nullptr) return {};
  if (const auto* word = value->if_string()) {
    if (*word == "none")
      choice.use = domain::ToolUse::none;
    else if (*word == "required" || *word == "any")
      choice.use = domain::ToolUse::required;
    else if (*word != "auto")
      return fail(field.error(Code::invalid_argument, "must be one of none, auto, required"));
    return check_tools(request, field.path());
  }
  TACIT_TRY(const auto* object, field.object());
  const Field type{*object, "type", field.path()};
  TACIT_TRY(const auto kind, type.text());
  if (kind == "allowed_tools") {
    const Field inner{*object, "allowed_tools", field.path()};
    TACIT_TRY(const auto* allowed, inner.object());
    if (allowed == nullptr) return allow_tools(*object, field.path(), request);
    return allow_tools(*allowed, inner.path(), request);
  }
  if (kind && *kind != "function")
    return fail(type.error(Code::unsupported, "only function tools are supported"));
  choice.use = domain::ToolUse::required;
  TACIT_TRY(choice.name, read_choice_name(*object, field.path()));
  return check_tools(request, field.path());
}

}  // namespace tacit::api::openai
