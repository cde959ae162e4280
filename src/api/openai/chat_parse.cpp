#include <algorithm>
#include <array>
#include <limits>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "api/json_document.hpp"
#include "api/openai/chat.hpp"

namespace tacit::api::openai {
namespace json = boost::json;
namespace {

constexpr std::int64_t kInt64Min = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t kInt64Max = std::numeric_limits<std::int64_t>::max();

// Fields that are read below, and fields that cannot change what the answer says.
constexpr std::array<std::string_view, 16> kRead{"model",
                                                 "messages",
                                                 "stream",
                                                 "stream_options",
                                                 "temperature",
                                                 "top_p",
                                                 "min_p",
                                                 "top_k",
                                                 "frequency_penalty",
                                                 "presence_penalty",
                                                 "seed",
                                                 "max_tokens",
                                                 "max_completion_tokens",
                                                 "stop",
                                                 "n",
                                                 "response_format"};
constexpr std::array<std::string_view, 11> kHarmless{"user",
                                                     "metadata",
                                                     "store",
                                                     "service_tier",
                                                     "prompt_cache_key",
                                                     "prompt_cache_retention",
                                                     "safety_identifier",
                                                     "parallel_tool_calls",
                                                     "prediction",
                                                     "reasoning_effort",
                                                     "verbosity"};

template <std::size_t N>
bool contains(const std::array<std::string_view, N>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool is_empty(const json::value& value) {
  return value.is_null() || (value.is_array() && value.get_array().empty()) ||
         (value.is_object() && value.get_object().empty()) ||
         (value.is_bool() && !value.get_bool());
}

// Refuses what would change the answer and is not offered, by name.
Result<void> refuse_unsupported(const json::object& root) {
  for (const auto name : {"tools", "functions", "function_call", "logprobs", "top_logprobs",
                          "logit_bias", "audio", "web_search_options"}) {
    const Field field{root, name};
    if (field.value() != nullptr && !is_empty(*field.value())) {
      return fail(field.error(Code::unsupported, "this field is not supported by this server"));
    }
  }
  const Field choice{root, "tool_choice"};
  if (choice.value() != nullptr) {
    const auto* word = choice.value()->if_string();
    if (word == nullptr || (*word != "none" && *word != "auto")) {
      return fail(choice.error(Code::unsupported, "tools are not supported by this server"));
    }
  }
  const Field modalities{root, "modalities"};
  TACIT_TRY(const auto* list, modalities.array());
  for (std::size_t i = 0; list != nullptr && i < list->size(); ++i) {
    const auto* word = list->at(i).if_string();
    if (word == nullptr || *word != "text") {
      return fail(modalities.error(Code::unsupported,
                                   "only the text modality is supported by this server"));
    }
  }
  const Field format{root, "response_format"};
  TACIT_TRY(const auto* object, format.object());
  if (object != nullptr) {
    TACIT_TRY(const auto type, Field(*object, "type", format.path()).text());
    if (type != "text") {
      return fail(format.error(Code::unsupported,
                               "only the text response format is supported by this server"));
    }
  }
  TACIT_TRY(const auto n, Field(root, "n").integer(1, 128));
  if (n.value_or(1) != 1)
    return fail(
        Field{root, "n"}.error(Code::unsupported, "only n = 1 is supported by this server"));
  return {};
}

Result<domain::Role> parse_role(const Field& field) {
  TACIT_TRY(const auto role, field.text());
  if (role == "user") return domain::Role::user;
  if (role == "assistant") return domain::Role::assistant;
  if (role == "system" || role == "developer") return domain::Role::system;
  if (role == "tool" || role == "function") {
    return fail(field.error(Code::unsupported, "tool messages are not supported by this server"));
  }
  return fail(
      field.error(Code::invalid_argument, "must be one of system, developer, user, assistant"));
}

// A string, or an array of text parts, which are joined.
Result<domain::Content> parse_content(const Field& field, bool may_be_absent) {
  if (field.value() == nullptr) {
    if (may_be_absent) return domain::Content{};
    return fail(field.error(Code::invalid_argument, "is required"));
  }
  if (const auto* text = field.value()->if_string())
    return domain::Content{std::string_view{text->data(), text->size()}};
  const auto* parts = field.value()->if_array();
  if (parts == nullptr)
    return fail(field.error(Code::invalid_argument, "must be a string or an array of parts"));
  domain::Content joined;
  for (std::size_t i = 0; i < parts->size(); ++i) {
    const auto path = field.path() + '[' + std::to_string(i) + ']';
    const auto* part = parts->at(i).if_object();
    if (part == nullptr)
      return fail(Error{Code::invalid_argument, "must be an object"}.about(PublicText{path}));
    const Field type{*part, "type", path};
    TACIT_TRY(const auto kind, type.text());
    const bool refusal = kind == "refusal";
    if (kind != "text" && !refusal) {
      return fail(type.error(Code::unsupported, "only text parts are supported by this server"));
    }
    const Field text{*part, refusal ? "refusal" : "text", path};
    TACIT_TRY(const auto piece, text.text());
    if (!piece) return fail(text.error(Code::invalid_argument, "is required"));
    joined.append(*piece);
  }
  return joined;
}

Result<std::vector<domain::Message>> parse_messages(const json::object& root,
                                                    const ChatLimits& limits) {
  const Field field{root, "messages"};
  TACIT_TRY(const auto* list, field.array());
  if (list == nullptr || list->empty()) {
    return fail(field.error(Code::invalid_argument, "must be an array of at least one message"));
  }
  if (list->size() > limits.messages_max) {
    return fail(field.error(Code::too_large, "too many messages")
                    .with("count", static_cast<std::int64_t>(list->size()))
                    .with("limit", static_cast<std::int64_t>(limits.messages_max)));
  }
  std::vector<domain::Message> messages;
  messages.reserve(list->size());
  for (std::size_t i = 0; i < list->size(); ++i) {
    const auto path = field.path() + '[' + std::to_string(i) + ']';
    const auto* object = list->at(i).if_object();
    if (object == nullptr)
      return fail(Error{Code::invalid_argument, "must be an object"}.about(PublicText{path}));
    TACIT_TRY(const auto role, parse_role(Field{*object, "role", path}));
    for (const auto name : {"tool_calls", "function_call", "audio"}) {
      const Field extra{*object, name, path};
      if (extra.value() != nullptr && !is_empty(*extra.value())) {
        return fail(extra.error(Code::unsupported, "this field is not supported by this server"));
      }
    }
    TACIT_TRY(auto content,
              parse_content(Field{*object, "content", path}, role == domain::Role::assistant));
    messages.push_back({role, std::move(content)});
  }
  return messages;
}

Result<std::vector<domain::Content>> parse_stop(const json::object& root,
                                                const ChatLimits& limits) {
  const Field field{root, "stop"};
  std::vector<domain::Content> stops;
  if (field.value() == nullptr) return stops;
  const auto add = [&](const json::value& value) -> Result<void> {
    const auto* text = value.if_string();
    if (text == nullptr)
      return fail(field.error(Code::invalid_argument, "must be a string or an array of strings"));
    if (text->empty())
      return fail(field.error(Code::invalid_argument, "a stop text may not be empty"));
    if (text->size() > limits.stop_bytes_max) {
      return fail(field.error(Code::too_large, "a stop text is too long")
                      .with("bytes", static_cast<std::int64_t>(text->size()))
                      .with("limit", static_cast<std::int64_t>(limits.stop_bytes_max)));
    }
    stops.emplace_back(std::string_view{text->data(), text->size()});
    return {};
  };
  const auto* list = field.value()->if_array();
  if (list == nullptr) {
    TACIT_CHECK(add(*field.value()));
    return stops;
  }
  if (list->size() > limits.stops_max) {
    return fail(field.error(Code::invalid_argument, "too many stop texts")
                    .with("count", static_cast<std::int64_t>(list->size()))
                    .with("limit", static_cast<std::int64_t>(limits.stops_max)));
  }
  for (const auto& value : *list) TACIT_CHECK(add(value));
  return stops;
}

Result<domain::Sampling> parse_sampling(const json::object& root) {
  domain::Sampling sampling;
  const auto real = [&](std::string_view name, double low, double high,
                        std::optional<float>& out) -> Result<void> {
    TACIT_TRY(const auto value, Field(root, name).number(low, high));
    if (value) out = static_cast<float>(*value);
    return {};
  };
  TACIT_CHECK(real("temperature", 0, 2, sampling.temperature));
  TACIT_CHECK(real("top_p", 0, 1, sampling.top_p));
  TACIT_CHECK(real("min_p", 0, 1, sampling.min_p));
  TACIT_CHECK(real("frequency_penalty", -2, 2, sampling.frequency_penalty));
  TACIT_CHECK(real("presence_penalty", -2, 2, sampling.presence_penalty));
  TACIT_TRY(const auto top_k, Field(root, "top_k").integer(-1, 1'000'000));
  if (top_k) sampling.top_k = static_cast<std::int32_t>(std::max<std::int64_t>(*top_k, 0));
  TACIT_TRY(const auto seed, Field(root, "seed").integer(kInt64Min, kInt64Max));
  if (seed) {  // both halves count, so that seeds which differ anywhere stay different
    const auto bits = static_cast<std::uint64_t>(*seed);
    sampling.seed = static_cast<std::uint32_t>(bits ^ bits >> 32);
  }
  return sampling;
}

std::uint32_t count_unknown(const json::object& root) {
  std::uint32_t count = 0;
  for (const auto& member : root) {
    const std::string_view name{member.key().data(), member.key().size()};
    const bool refused_when_set = contains(
        std::array<std::string_view, 10>{"tools", "functions", "function_call", "logprobs",
                                         "top_logprobs", "logit_bias", "audio",
                                         "web_search_options", "tool_choice", "modalities"},
        name);
    if (!refused_when_set && !contains(kRead, name) && !contains(kHarmless, name)) ++count;
  }
  return count;
}

}  // namespace

Result<ChatRequest> parse_chat(std::string_view body, const ChatLimits& limits) {
  TACIT_TRY(const auto document, JsonDocument::parse(body, {.body_bytes_max = limits.body_bytes_max,
                                                            .depth_max = limits.json_depth_max}));
  const auto* root = document.root().if_object();
  if (root == nullptr) return fail(Code::invalid_argument, "request body must be a JSON object");

  ChatRequest request;
  const Field model{*root, "model"};
  TACIT_TRY(const auto name, model.text());
  if (!name || name->empty()) return fail(model.error(Code::invalid_argument, "is required"));
  if (name->size() > limits.model_bytes_max)
    return fail(model.error(Code::invalid_argument, "name is too long"));
  request.generate.model = std::string{*name};

  TACIT_CHECK(refuse_unsupported(*root));
  TACIT_TRY(request.generate.messages, parse_messages(*root, limits));
  TACIT_TRY(request.generate.sampling, parse_sampling(*root));
  TACIT_TRY(request.generate.stop, parse_stop(*root, limits));

  constexpr std::int64_t tokens_max = std::numeric_limits<std::int32_t>::max();
  TACIT_TRY(const auto max_tokens, Field(*root, "max_tokens").integer(1, tokens_max));
  TACIT_TRY(const auto max_completion,
            Field(*root, "max_completion_tokens").integer(1, tokens_max));
  if (const auto tokens = max_completion ? max_completion : max_tokens) {
    request.generate.max_tokens = static_cast<std::uint32_t>(*tokens);
  }

  TACIT_TRY(const auto stream, Field(*root, "stream").boolean());
  request.stream = stream.value_or(false);
  const Field options{*root, "stream_options"};
  TACIT_TRY(const auto* stream_options, options.object());
  if (stream_options != nullptr) {
    if (!request.stream) {
      return fail(options.error(Code::invalid_argument, "is only allowed when stream is true"));
    }
    TACIT_TRY(const auto usage, Field(*stream_options, "include_usage", options.path()).boolean());
    request.include_usage = usage.value_or(false);
  }
  request.num_unknown_fields = count_unknown(*root);
  return request;
}

}  // namespace tacit::api::openai
