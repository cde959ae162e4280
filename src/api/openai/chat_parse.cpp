#include <algorithm>
#include <array>

#include "api/openai/chat.hpp"
#include "api/openai/wire.hpp"

namespace tacit::api::openai {
namespace json = boost::json;
namespace {

// Fields that are read, or that cannot change what the answer says.
constexpr std::array<std::string_view, 44> kKnown{"model",
                                                  "messages",
                                                  "stream",
                                                  "stream_options",
                                                  "max_tokens",
                                                  "max_completion_tokens",
                                                  "stop",
                                                  "n",
                                                  "response_format",
                                                  "tools",
                                                  "tool_choice",
                                                  "parallel_tool_calls",
                                                  "functions",
                                                  "function_call",
                                                  "logprobs",
                                                  "top_logprobs",
                                                  "logit_bias",
                                                  "reasoning_effort",
                                                  "grammar",
                                                  "json_schema",
                                                  "chat_template_kwargs",
                                                  "continue_final_message",
                                                  "add_generation_prompt",
                                                  "ignore_eos",
                                                  "thinking_budget_tokens",
                                                  "reasoning_budget_tokens",
                                                  "modalities",
                                                  "audio",
                                                  "web_search_options",
                                                  "user",
                                                  "metadata",
                                                  "store",
                                                  "service_tier",
                                                  "prompt_cache_key",
                                                  "prompt_cache_retention",
                                                  "safety_identifier",
                                                  "prediction",
                                                  "verbosity",
                                                  "cache_prompt",
                                                  "timings_per_token",
                                                  "return_tokens",
                                                  "reasoning_format",
                                                  "id_slot",
                                                  "samplers"};

Result<domain::Role> read_role(const Field& field) {
  TACIT_TRY(const auto role, field.text());
  if (role == "user") return domain::Role::user;
  if (role == "assistant") return domain::Role::assistant;
  if (role == "system" || role == "developer") return domain::Role::system;
  if (role == "tool" || role == "function") return domain::Role::tool;
  return fail(field.error(Code::invalid_argument,
                          "must be one of system, developer, user, assistant, tool"));
}

// A string, or an array of text parts, which are joined.
Result<domain::Content> read_content(const Field& field, bool may_be_absent) {
  if (field.value() == nullptr && may_be_absent) return domain::Content{};
  constexpr std::array<std::string_view, 1> kinds{"text"};
  return read_parts(field, kinds);
}

// {"name","arguments"}; arguments are JSON in a string, or, from some clients, an object.
Result<domain::ToolCall> read_call(const json::object& object, const std::string& path) {
  domain::ToolCall call;
  const Field name{object, "name", path};
  TACIT_TRY(const auto text, name.required_name());
  call.name = text;
  const Field arguments{object, "arguments", path};
  if (arguments.value() != nullptr && arguments.value()->is_object()) {
    call.arguments = json_of(*arguments.value());
  } else {
    TACIT_TRY(const auto json_text, arguments.text());
    call.arguments = domain::Content{json_text.value_or("{}")};
  }
  return call;
}

Result<void> read_calls(const json::object& object, const std::string& path,
                        domain::Message& message) {
  const Field calls{object, "tool_calls", path};
  TACIT_TRY(const auto* list, calls.array());
  for (std::size_t i = 0; list != nullptr && i < list->size(); ++i) {
    TACIT_TRY(const auto* each, object_at(*list, i, calls.path()));
    const auto where = at(calls.path(), i);
    const Field function{*each, "function", where};
    TACIT_TRY(const auto* inner, function.required_object());
    TACIT_TRY(auto call, read_call(*inner, function.path()));
    TACIT_TRY(const auto id, Field(*each, "id", where).text());
    call.id = id.value_or("");
    message.tool_calls.push_back(std::move(call));
  }
  const Field old{object, "function_call", path};
  TACIT_TRY(const auto* one, old.object());
  if (one != nullptr) {
    TACIT_TRY(auto call, read_call(*one, old.path()));
    message.tool_calls.push_back(std::move(call));
  }
  return {};
}

Result<domain::Message> read_message(const json::object& object, const std::string& path) {
  domain::Message message;
  TACIT_TRY(message.role, read_role(Field{object, "role", path}));
  TACIT_CHECK(refuse(object, {"audio"}, path));
  const bool assistant = message.role == domain::Role::assistant;
  if (assistant) {
    TACIT_CHECK(read_calls(object, path, message));
    TACIT_TRY(const auto reasoning, Field(object, "reasoning_content", path).text());
    message.reasoning = domain::Content{reasoning.value_or("")};
  }
  TACIT_TRY(message.content, read_content(Field{object, "content", path}, assistant));
  if (message.role == domain::Role::tool) {
    TACIT_TRY(const auto id, Field(object, "tool_call_id", path).text());
    message.tool_call_id = id.value_or("");
    TACIT_TRY(const auto name, Field(object, "name", path).text());
    message.tool_name = name.value_or("");
  }
  return message;
}

Result<std::vector<domain::Message>> read_messages(const json::object& root, const Limits& limits) {
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
    TACIT_TRY(const auto* object, object_at(*list, i, field.path()));
    TACIT_TRY(auto message, read_message(*object, at(field.path(), i)));
    messages.push_back(std::move(message));
  }
  return messages;
}

Result<std::vector<domain::Tool>> read_tools(const json::object& root, const Limits& limits) {
  std::vector<domain::Tool> tools;
  TACIT_TRY(const auto* list, read_tool_list(root, "tools", limits));
  for (std::size_t i = 0; list != nullptr && i < list->size(); ++i) {
    TACIT_TRY(const auto* each, object_at(*list, i, "tools"));
    const auto path = at("tools", i);
    const Field type{*each, "type", path};
    TACIT_TRY(const auto kind, type.text());
    if (kind && *kind != "function")
      return fail(type.error(Code::unsupported, "only function tools are supported"));
    const Field function{*each, "function", path};
    TACIT_TRY(const auto* inner, function.required_object());
    TACIT_TRY(auto tool, read_tool(*inner, function.path(), "parameters"));
    tools.push_back(std::move(tool));
  }
  // What clients sent before there were tools.
  TACIT_TRY(const auto* functions, read_tool_list(root, "functions", limits));
  for (std::size_t i = 0; functions != nullptr && i < functions->size(); ++i) {
    TACIT_TRY(const auto* each, object_at(*functions, i, "functions"));
    TACIT_TRY(auto tool, read_tool(*each, at("functions", i), "parameters"));
    tools.push_back(std::move(tool));
  }
  return tools;
}

// response_format, or llama.cpp's json_schema and grammar.
Result<domain::Constraint> read_constraint(const json::object& root) {
  TACIT_TRY(auto constraint, read_format(Field{root, "response_format"}, true));
  const Field schema{root, "json_schema"};
  TACIT_TRY(const auto* object, schema.object());
  const Field grammar{root, "grammar"};
  TACIT_TRY(const auto text, grammar.text());
  const bool has_grammar = text && !text->empty();
  const bool has_format = constraint.kind != domain::Constraint::Kind::none || object != nullptr;
  if (has_grammar && has_format)
    return fail(grammar.error(Code::invalid_argument, "cannot be used with a response format"));
  if (object != nullptr)
    return domain::Constraint{domain::Constraint::Kind::json_schema, json_of(*schema.value())};
  if (has_grammar)
    return domain::Constraint{domain::Constraint::Kind::grammar, domain::Content{*text}};
  return constraint;
}

Result<void> read_logprobs(const json::object& root, domain::GenerateRequest& generate) {
  TACIT_TRY(const auto wanted, Field(root, "logprobs").boolean());
  const Field top{root, "top_logprobs"};
  TACIT_TRY(const auto count, top.integer(0, 20));
  if (count.value_or(0) > 0 && !wanted.value_or(false))
    return fail(top.error(Code::invalid_argument, "is only allowed when logprobs is true"));
  if (wanted.value_or(false)) generate.logprobs = static_cast<std::uint32_t>(count.value_or(0));
  return {};
}

// What templates are told besides the messages: only whether to think.
Result<void> read_template_arguments(const json::object& root, domain::GenerateRequest& generate) {
  const Field arguments{root, "chat_template_kwargs"};
  TACIT_TRY(const auto* object, arguments.object());
  if (object == nullptr) return {};
  for (const auto& member : *object) {
    if (member.key() != "enable_thinking")
      return fail(arguments.error(Code::unsupported, "only enable_thinking is supported"));
  }
  TACIT_TRY(const auto think, Field(*object, "enable_thinking", arguments.path()).boolean());
  if (think && !*think) generate.reasoning.effort = domain::Effort::none;
  return {};
}

Result<void> read_rest(const json::object& root, const Limits& limits,
                       domain::GenerateRequest& generate) {
  TACIT_TRY(generate.sampling, read_sampling(root));
  TACIT_TRY(generate.stop, read_stops(Field{root, "stop"}, limits));
  TACIT_TRY(generate.logit_bias, read_logit_bias(Field{root, "logit_bias"}));
  TACIT_CHECK(read_logprobs(root, generate));
  TACIT_TRY(generate.reasoning.effort, read_effort(Field{root, "reasoning_effort"}));
  TACIT_CHECK(read_template_arguments(root, generate));
  for (const auto name : {"thinking_budget_tokens", "reasoning_budget_tokens"}) {
    TACIT_TRY(const auto budget, Field(root, name).integer(-1, 1'000'000));
    if (budget.value_or(-1) >= 0)
      generate.reasoning.tokens_max = static_cast<std::uint32_t>(*budget);
  }
  TACIT_TRY(const auto go_on, Field(root, "continue_final_message").boolean());
  generate.continue_last = go_on.value_or(false) && !generate.messages.empty() &&
                           generate.messages.back().role == domain::Role::assistant;
  TACIT_TRY(const auto ignore_end, Field(root, "ignore_eos").boolean());
  generate.ignore_end = ignore_end.value_or(false);
  TACIT_TRY(const auto max_tokens, read_tokens_max(Field{root, "max_tokens"}));
  TACIT_TRY(const auto max_completion, read_tokens_max(Field{root, "max_completion_tokens"}));
  generate.max_tokens = max_completion ? max_completion : max_tokens;
  return {};
}

Result<void> check_modalities(const json::object& root) {
  const Field modalities{root, "modalities"};
  TACIT_TRY(const auto* list, modalities.array());
  for (std::size_t i = 0; list != nullptr && i < list->size(); ++i) {
    const auto* word = list->at(i).if_string();
    if (word == nullptr || *word != "text") {
      return fail(modalities.error(Code::unsupported,
                                   "only the text modality is supported by this server"));
    }
  }
  return {};
}

}  // namespace

Result<ChatRequest> parse_chat(std::string_view body, const Limits& limits) {
  TACIT_TRY(const auto document, JsonDocument::parse(body, json_limits(limits)));
  TACIT_TRY(const auto* root, root_object(document));
  ChatRequest request;
  auto& generate = request.generate;
  TACIT_TRY(generate.model, read_model(*root, limits));
  TACIT_CHECK(refuse(*root, {"audio", "web_search_options", "samplers"}));
  TACIT_CHECK(check_modalities(*root));
  TACIT_TRY(generate.messages, read_messages(*root, limits));
  TACIT_TRY(generate.tools, read_tools(*root, limits));
  TACIT_CHECK(read_tool_choice(Field{*root, "tool_choice"}, generate));
  TACIT_CHECK(read_tool_choice(Field{*root, "function_call"}, generate));
  TACIT_TRY(const auto parallel, Field(*root, "parallel_tool_calls").boolean());
  generate.tool_choice.parallel = parallel.value_or(true);
  TACIT_TRY(generate.constraint, read_constraint(*root));
  TACIT_CHECK(read_rest(*root, limits, generate));
  TACIT_TRY(const auto n,
            Field(*root, "n").integer(1, static_cast<std::int64_t>(limits.choices_max)));
  request.num_choices = static_cast<std::uint32_t>(n.value_or(1));
  TACIT_TRY(const auto stream, Field(*root, "stream").boolean());
  request.stream = stream.value_or(false);
  TACIT_TRY(request.include_usage, read_include_usage(*root, request.stream));
  request.num_unknown_fields = count_unknown(*root, kKnown);
  return request;
}

Result<Call> chat(std::string_view body, const Limits& limits) {
  TACIT_TRY(auto request, parse_chat(body, limits));
  Call call;
  call.stream = request.stream;
  call.num_unknown_fields = request.num_unknown_fields;
  call.renderer = std::make_unique<ChatRenderer>(
      ChatRenderer::Options{.stream = request.stream,
                            .include_usage = request.include_usage,
                            .num_choices = request.num_choices,
                            .logprobs = request.generate.logprobs.has_value()});
  call.requests = choices_of(std::move(request.generate), request.num_choices);
  return call;
}

}  // namespace tacit::api::openai
