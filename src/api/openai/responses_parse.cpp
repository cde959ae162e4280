#include <algorithm>
#include <array>

#include "api/openai/responses.hpp"
#include "api/openai/wire.hpp"

namespace tacit::api::openai {
namespace json = boost::json;
namespace {

// Fields that are read, or that cannot change what the answer says.
constexpr std::array<std::string_view, 32> kKnown{"model",
                                                  "input",
                                                  "instructions",
                                                  "stream",
                                                  "stream_options",
                                                  "tools",
                                                  "tool_choice",
                                                  "parallel_tool_calls",
                                                  "text",
                                                  "reasoning",
                                                  "max_output_tokens",
                                                  "max_tool_calls",
                                                  "top_logprobs",
                                                  "include",
                                                  "metadata",
                                                  "store",
                                                  "previous_response_id",
                                                  "conversation",
                                                  "background",
                                                  "prompt",
                                                  "prompt_cache_key",
                                                  "prompt_cache_retention",
                                                  "prompt_cache_options",
                                                  "safety_identifier",
                                                  "service_tier",
                                                  "truncation",
                                                  "user",
                                                  "context_management",
                                                  "client_metadata",
                                                  "image",
                                                  "moderation",
                                                  "access_programs"};

constexpr std::array<std::string_view, 5> kTextParts{"input_text", "output_text", "text",
                                                     "reasoning_text", "summary_text"};

// Turns items into messages. Reasoning, text and calls of one turn become one message.
class ItemReader {
 public:
  explicit ItemReader(std::vector<domain::Message>& out) : out_{out} {}

  Result<void> read(const json::object& item, const std::string& path) {
    const Field type{item, "type", path};
    TACIT_TRY(const auto kind, type.text());
    if (!kind || *kind == "message") return read_message(item, path);
    if (*kind == "function_call") return read_call(item, path);
    if (*kind == "function_call_output") return read_output(item, path);
    if (*kind == "reasoning") return read_reasoning(item, path);
    return fail(type.error(Code::unsupported, "this kind of item is not supported by this server"));
  }

 private:
  Result<void> read_message(const json::object& item, const std::string& path) {
    const Field role{item, "role", path};
    TACIT_TRY(const auto word, role.text());
    TACIT_TRY(auto content, read_parts(Field{item, "content", path}, kTextParts));
    if (word == "assistant") {
      auto& turn = assistant();
      if (!turn.content.empty() || !turn.tool_calls.empty()) {
        out_.push_back({domain::Role::assistant, std::move(content)});
      } else {
        turn.content = std::move(content);
      }
      return {};
    }
    if (word == "user")
      out_.push_back({domain::Role::user, std::move(content)});
    else if (word == "system" || word == "developer")
      out_.push_back({domain::Role::system, std::move(content)});
    else
      return fail(
          role.error(Code::invalid_argument, "must be one of user, assistant, system, developer"));
    return {};
  }

  Result<void> read_call(const json::object& item, const std::string& path) {
    domain::ToolCall call;
    const Field name{item, "name", path};
    TACIT_TRY(const auto text, name.required_name());
    call.name = text;
    TACIT_TRY(const auto id, Field(item, "call_id", path).text());
    call.id = id.value_or("");
    TACIT_TRY(const auto arguments, Field(item, "arguments", path).text());
    call.arguments = domain::Content{arguments.value_or("{}")};
    assistant().tool_calls.push_back(std::move(call));
    return {};
  }

  Result<void> read_output(const json::object& item, const std::string& path) {
    const Field id{item, "call_id", path};
    TACIT_TRY(const auto text, id.required_name());
    domain::Message message;
    message.role = domain::Role::tool;
    message.tool_call_id = text;
    for (const auto& earlier : out_) {
      for (const auto& call : earlier.tool_calls) {
        if (call.id == message.tool_call_id) message.tool_name = call.name;
      }
    }
    TACIT_TRY(message.content, read_parts(Field{item, "output", path}, kTextParts));
    out_.push_back(std::move(message));
    return {};
  }

  Result<void> read_reasoning(const json::object& item, const std::string& path) {
    const Field content{item, "content", path};
    if (is_empty(content.value())) return {};  // a summary, or what only its maker can read
    TACIT_TRY(auto text, read_parts(content, kTextParts));
    out_.push_back({domain::Role::assistant, {}, std::move(text)});
    return {};
  }

  domain::Message& assistant() {
    if (out_.empty() || out_.back().role != domain::Role::assistant)
      out_.push_back({domain::Role::assistant});
    return out_.back();
  }

  std::vector<domain::Message>& out_;
};

Result<void> read_input(const json::object& root, const Limits& limits,
                        domain::GenerateRequest& request) {
  TACIT_TRY(const auto instructions, Field(root, "instructions").text());
  if (instructions && !instructions->empty())
    request.messages.push_back({domain::Role::system, domain::Content{*instructions}});
  const Field input{root, "input"};
  if (input.value() == nullptr) return fail(input.missing());
  if (const auto* text = input.value()->if_string()) {
    request.messages.push_back({domain::Role::user, domain::Content{view(*text)}});
    return {};
  }
  const auto* list = input.value()->if_array();
  if (list == nullptr || list->empty())
    return fail(input.error(Code::invalid_argument, "must be a string or an array of items"));
  if (list->size() > limits.messages_max) {
    return fail(input.error(Code::too_large, "too many items")
                    .with("count", static_cast<std::int64_t>(list->size()))
                    .with("limit", static_cast<std::int64_t>(limits.messages_max)));
  }
  ItemReader reader{request.messages};
  for (std::size_t i = 0; i < list->size(); ++i) {
    TACIT_TRY(const auto* item, object_at(*list, i, input.path()));
    TACIT_CHECK(reader.read(*item, at(input.path(), i)));
  }
  return {};
}

Result<void> read_tools(const json::object& root, const Limits& limits,
                        domain::GenerateRequest& request, ResponsesRenderer::Echo& echo) {
  TACIT_TRY(const auto* list, read_tool_list(root, "tools", limits));
  JsonText again;
  again.raw("[");
  for (std::size_t i = 0; list != nullptr && i < list->size(); ++i) {
    TACIT_TRY(const auto* each, object_at(*list, i, "tools"));
    const auto path = at("tools", i);
    const Field type{*each, "type", path};
    TACIT_TRY(const auto kind, type.text());
    if (kind != "function")
      return fail(type.error(Code::unsupported, "only function tools are supported"));
    TACIT_TRY(auto tool, read_tool(*each, path, "parameters"));
    TACIT_TRY(const auto strict, Field(*each, "strict", path).boolean());
    if (i > 0) again.raw(",");
    again.raw(R"({"type":"function","name":)").string(tool.name);
    again.raw(R"(,"description":)").string(tool.description.reveal());
    again.raw(R"(,"parameters":)").raw(tool.parameters.reveal());
    again.raw(R"(,"strict":)").boolean(strict.value_or(true)).raw("}");
    request.tools.push_back(std::move(tool));
  }
  again.raw("]");
  echo.tools = std::move(again).take();
  const Field choice{root, "tool_choice"};
  TACIT_CHECK(read_tool_choice(choice, request));
  switch (request.tool_choice.use) {
    case domain::ToolUse::automatic: break;
    case domain::ToolUse::none: echo.tool_choice = "\"none\""; break;
    case domain::ToolUse::required: echo.tool_choice = "\"required\""; break;
  }
  if (!request.tool_choice.name.empty()) {
    JsonText named;
    named.raw(R"({"type":"function","name":)").string(request.tool_choice.name).raw("}");
    echo.tool_choice = named.text().reveal();
  }
  TACIT_TRY(const auto parallel, Field(root, "parallel_tool_calls").boolean());
  request.tool_choice.parallel = echo.parallel_tool_calls = parallel.value_or(true);
  return {};
}

Result<void> read_text_and_reasoning(const json::object& root, domain::GenerateRequest& request,
                                     ResponsesRenderer::Echo& echo) {
  const Field text{root, "text"};
  TACIT_TRY(const auto* object, text.object());
  if (object != nullptr) {
    const Field format{*object, "format", text.path()};
    TACIT_TRY(request.constraint, read_format(format, false));
    if (format.value() != nullptr) echo.format = json_of(*format.value());
  }
  const Field reasoning{root, "reasoning"};
  TACIT_TRY(const auto* inner, reasoning.object());
  if (inner != nullptr) {
    const Field effort{*inner, "effort", reasoning.path()};
    TACIT_TRY(request.reasoning.effort, read_effort(effort));
    if (effort.value() != nullptr) echo.effort = std::string{json_of(*effort.value()).reveal()};
  }
  return {};
}

Result<void> read_logprobs(const json::object& root, domain::GenerateRequest& request,
                           ResponsesRenderer::Echo& echo) {
  TACIT_TRY(const auto top, Field(root, "top_logprobs").integer(0, 20));
  const Field include{root, "include"};
  TACIT_TRY(const auto* list, include.array());
  const bool wanted = list != nullptr && std::ranges::any_of(*list, [](const auto& each) {
                        const auto* word = each.if_string();
                        return word != nullptr && *word == "message.output_text.logprobs";
                      });
  if (wanted || top.value_or(0) > 0) request.logprobs = static_cast<std::uint32_t>(top.value_or(0));
  echo.top_logprobs = static_cast<std::uint32_t>(top.value_or(0));
  return {};
}

std::string real_text(const std::optional<float>& value) {
  JsonText out;
  out.real(value.value_or(1.0f));
  return std::string{out.text().reveal()};
}

}  // namespace

Result<Call> responses(std::string_view body, const Limits& limits) {
  TACIT_TRY(const auto document, JsonDocument::parse(body, json_limits(limits)));
  TACIT_TRY(const auto* root, root_object(document));
  domain::GenerateRequest request;
  ResponsesRenderer::Echo echo;
  TACIT_TRY(request.model, read_model(*root, limits));
  for (const auto name : {"previous_response_id", "conversation", "prompt"}) {
    const Field field{*root, name};
    if (field.value() != nullptr) {
      return fail(field.error(Code::unsupported, "this server keeps no responses")
                      .fix("Send the whole conversation as input"));
    }
  }
  TACIT_CHECK(refuse(*root, {"background"}));
  TACIT_CHECK(read_input(*root, limits, request));
  TACIT_CHECK(read_tools(*root, limits, request, echo));
  TACIT_CHECK(read_text_and_reasoning(*root, request, echo));
  TACIT_CHECK(read_logprobs(*root, request, echo));
  TACIT_TRY(request.sampling, read_sampling(*root));
  TACIT_TRY(request.max_tokens, read_tokens_max(Field{*root, "max_output_tokens"}));
  TACIT_TRY(const auto stream, Field(*root, "stream").boolean());

  const Field instructions{*root, "instructions"};
  if (instructions.value() != nullptr) echo.instructions = json_of(*instructions.value());
  const Field metadata{*root, "metadata"};
  TACIT_TRY(const auto* pairs, metadata.object());
  if (pairs != nullptr) echo.metadata = json_of(*metadata.value());
  echo.temperature = real_text(request.sampling.temperature);
  echo.top_p = real_text(request.sampling.top_p);
  if (request.max_tokens) echo.max_output_tokens = std::to_string(*request.max_tokens);

  Call call;
  call.stream = stream.value_or(false);
  call.num_unknown_fields = count_unknown(*root, kKnown);
  call.renderer = std::make_unique<ResponsesRenderer>(call.stream, std::move(echo));
  call.requests.push_back(std::move(request));
  return call;
}

}  // namespace tacit::api::openai
