#include <array>

#include "api/anthropic/messages.hpp"
#include "api/fields.hpp"
#include "api/json_text.hpp"

namespace tacit::api::anthropic {
namespace json = boost::json;
namespace {

// Fields that are read, or that cannot change what the answer says.
constexpr std::array<std::string_view, 24> kKnown{
    "model",         "messages",      "system",          "max_tokens",    "stop_sequences",
    "stream",        "temperature",   "top_p",           "top_k",         "tools",
    "tool_choice",   "thinking",      "metadata",        "container",     "service_tier",
    "mcp_servers",   "output_config", "output_format",   "cache_control", "diagnostics",
    "inference_geo", "speed",         "user_profile_id", "workspace_id"};

// Texts of an array of blocks; only text may be in it.
Result<domain::Content> read_text_blocks(const Field& field) {
  if (field.value() == nullptr) return domain::Content{};
  if (const auto* text = field.value()->if_string()) return domain::Content{view(*text)};
  const auto* list = field.value()->if_array();
  if (list == nullptr)
    return fail(field.error(Code::invalid_argument, "must be a string or an array of blocks"));
  domain::Content joined;
  for (std::size_t i = 0; i < list->size(); ++i) {
    TACIT_TRY(const auto* block, object_at(*list, i, field.path()));
    const auto path = at(field.path(), i);
    const Field type{*block, "type", path};
    TACIT_TRY(const auto kind, type.text());
    if (kind != "text")
      return fail(type.error(Code::unsupported, "only text blocks are supported by this server"));
    const Field text{*block, "text", path};
    TACIT_TRY(const auto piece, text.required_text());
    if (!joined.empty()) joined.append("\n");
    joined.append(piece);
  }
  return joined;
}

// Reads one block of a message into `message`; the answer of a tool becomes a message of its own.
class BlockReader {
 public:
  BlockReader(std::vector<domain::Message>& out, domain::Role role) : out_{out} {
    message_.role = role;
  }

  Result<void> read(const json::object& block, const std::string& path) {
    const Field type{block, "type", path};
    TACIT_TRY(const auto kind, type.text());
    if (kind == "text") return read_text(Field{block, "text", path}, message_.content);
    if (kind == "thinking") return read_text(Field{block, "thinking", path}, message_.reasoning);
    if (kind == "redacted_thinking") return {};
    if (kind == "tool_use") return read_use(block, path);
    if (kind == "tool_result") return read_result(block, path);
    return fail(
        type.error(Code::unsupported, "this kind of block is not supported by this server"));
  }

  void finish() {
    const bool empty =
        message_.content.empty() && message_.reasoning.empty() && message_.tool_calls.empty();
    if (!empty || !any_result_) out_.push_back(std::move(message_));
  }

 private:
  static Result<void> read_text(const Field& field, domain::Content& into) {
    TACIT_TRY(const auto text, field.required_text());
    into.append(text);
    return {};
  }

  Result<void> read_use(const json::object& block, const std::string& path) {
    domain::ToolCall call;
    const Field name{block, "name", path};
    TACIT_TRY(const auto text, name.required_name());
    call.name = text;
    TACIT_TRY(const auto id, Field(block, "id", path).text());
    call.id = id.value_or("");
    const Field input{block, "input", path};
    TACIT_TRY(const auto* object, input.object());
    call.arguments = object == nullptr ? domain::Content{"{}"} : json_of(*input.value());
    message_.tool_calls.push_back(std::move(call));
    return {};
  }

  Result<void> read_result(const json::object& block, const std::string& path) {
    const Field id{block, "tool_use_id", path};
    TACIT_TRY(const auto text, id.required_name());
    domain::Message result;
    result.role = domain::Role::tool;
    result.tool_call_id = text;
    for (const auto& earlier : out_) {
      for (const auto& call : earlier.tool_calls) {
        if (call.id == result.tool_call_id) result.tool_name = call.name;
      }
    }
    TACIT_TRY(result.content, read_text_blocks(Field{block, "content", path}));
    out_.push_back(std::move(result));
    any_result_ = true;
    return {};
  }

  std::vector<domain::Message>& out_;
  domain::Message message_;
  bool any_result_ = false;
};

Result<void> read_message(const json::object& object, const std::string& path,
                          std::vector<domain::Message>& out) {
  const Field role{object, "role", path};
  TACIT_TRY(const auto word, role.text());
  if (word != "user" && word != "assistant" && word != "system")
    return fail(role.error(Code::invalid_argument, "must be one of user, assistant"));
  BlockReader reader{out, word == "user"     ? domain::Role::user
                          : word == "system" ? domain::Role::system
                                             : domain::Role::assistant};
  const Field content{object, "content", path};
  if (content.value() == nullptr) return fail(content.missing());
  if (const auto* text = content.value()->if_string()) {
    json::object block;
    block["type"] = "text";
    block["text"] = *text;
    TACIT_CHECK(reader.read(block, content.path()));
  } else {
    const auto* list = content.value()->if_array();
    if (list == nullptr)
      return fail(content.error(Code::invalid_argument, "must be a string or an array of blocks"));
    for (std::size_t i = 0; i < list->size(); ++i) {
      TACIT_TRY(const auto* block, object_at(*list, i, content.path()));
      TACIT_CHECK(reader.read(*block, at(content.path(), i)));
    }
  }
  reader.finish();
  return {};
}

Result<void> read_messages(const json::object& root, const Limits& limits,
                           domain::GenerateRequest& request) {
  TACIT_TRY(auto system, read_text_blocks(Field{root, "system"}));
  if (!system.empty()) request.messages.push_back({domain::Role::system, std::move(system)});
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
  for (std::size_t i = 0; i < list->size(); ++i) {
    TACIT_TRY(const auto* object, object_at(*list, i, field.path()));
    TACIT_CHECK(read_message(*object, at(field.path(), i), request.messages));
  }
  // An answer that was begun is gone on with.
  const auto& last = request.messages.back();
  request.continue_last = last.role == domain::Role::assistant && last.tool_calls.empty() &&
                          !(last.content.empty() && last.reasoning.empty());
  return {};
}

Result<void> read_tools(const json::object& root, const Limits& limits,
                        domain::GenerateRequest& request) {
  TACIT_TRY(const auto* list, read_tool_list(root, "tools", limits));
  for (std::size_t i = 0; list != nullptr && i < list->size(); ++i) {
    TACIT_TRY(const auto* each, object_at(*list, i, "tools"));
    const auto path = at("tools", i);
    const Field type{*each, "type", path};
    TACIT_TRY(const auto kind, type.text());
    if (kind && *kind != "custom")
      return fail(type.error(Code::unsupported, "tools that the server runs are not supported"));
    TACIT_TRY(auto tool, read_tool(*each, path, "input_schema"));
    request.tools.push_back(std::move(tool));
  }
  const Field choice{root, "tool_choice"};
  TACIT_TRY(const auto* object, choice.object());
  if (object == nullptr) return {};
  const Field type{*object, "type", choice.path()};
  TACIT_TRY(const auto kind, type.text());
  auto& out = request.tool_choice;
  if (kind == "none")
    out.use = domain::ToolUse::none;
  else if (kind == "any" || kind == "tool")
    out.use = domain::ToolUse::required;
  else if (kind != "auto")
    return fail(type.error(Code::invalid_argument, "must be one of auto, any, tool, none"));
  if (kind == "tool") {
    const Field name{*object, "name", choice.path()};
    TACIT_TRY(const auto text, name.required_text());
    out.name = text;
  }
  TACIT_TRY(const auto alone, Field(*object, "disable_parallel_tool_use", choice.path()).boolean());
  out.parallel = !alone.value_or(false);
  return check_tools(request, choice.path());
}

Result<void> read_thinking(const json::object& root, domain::GenerateRequest& request) {
  const Field field{root, "thinking"};
  TACIT_TRY(const auto* object, field.object());
  if (object == nullptr) return {};
  const Field type{*object, "type", field.path()};
  TACIT_TRY(const auto kind, type.text());
  if (kind == "disabled") {
    request.reasoning.effort = domain::Effort::none;
    return {};
  }
  if (kind == "adaptive") return {};
  if (kind != "enabled")
    return fail(type.error(Code::invalid_argument, "must be one of enabled, adaptive, disabled"));
  TACIT_TRY(request.reasoning.tokens_max,
            read_tokens_max(Field{*object, "budget_tokens", field.path()}));
  return {};
}

// {"format":{"type":"json_schema","schema":{}}}
Result<void> read_output(const json::object& root, domain::GenerateRequest& request) {
  const Field config{root, "output_config"};
  TACIT_TRY(const auto* object, config.object());
  const Field format =
      object == nullptr ? Field{root, "output_format"} : Field{*object, "format", config.path()};
  TACIT_TRY(const auto* inner, format.object());
  if (inner == nullptr) return {};
  const Field type{*inner, "type", format.path()};
  TACIT_TRY(const auto kind, type.text());
  if (kind != "json_schema") return fail(type.error(Code::unsupported, "must be json_schema"));
  const Field schema{*inner, "schema", format.path()};
  TACIT_CHECK(schema.required_object());
  request.constraint = {domain::Constraint::Kind::json_schema, json_of(*schema.value())};
  return {};
}

Result<domain::GenerateRequest> read_request(const json::object& root, const Limits& limits) {
  domain::GenerateRequest request;
  TACIT_TRY(request.model, read_model(root, limits));
  TACIT_CHECK(refuse(root, {"mcp_servers", "container"}));
  TACIT_CHECK(read_messages(root, limits, request));
  TACIT_CHECK(read_tools(root, limits, request));
  TACIT_CHECK(read_thinking(root, request));
  TACIT_CHECK(read_output(root, request));
  TACIT_TRY(request.sampling, read_sampling(root));
  TACIT_TRY(request.stop, read_stops(Field{root, "stop_sequences"}, limits));
  return request;
}

// {"input_tokens": n}
class CountRenderer final : public Renderer {
 public:
  void begin(const AnswerContext&) override {}
  void feed(std::uint32_t, const domain::Event& event) override {
    const auto* finished = std::get_if<domain::Finished>(&event);
    if (finished == nullptr) return;
    out_.raw(R"({"input_tokens":)").number(finished->usage.prompt_tokens).raw("}");
  }
  SecretText take() override { return std::move(out_).take(); }

 private:
  JsonText out_;
};

}  // namespace

Result<Call> messages(std::string_view body, const Limits& limits) {
  TACIT_TRY(const auto document, JsonDocument::parse(body, json_limits(limits)));
  TACIT_TRY(const auto* root, root_object(document));
  TACIT_TRY(auto request, read_request(*root, limits));
  const Field max{*root, "max_tokens"};
  TACIT_TRY(request.max_tokens, read_tokens_max(max));
  if (!request.max_tokens) return fail(max.missing());
  TACIT_TRY(const auto stream, Field(*root, "stream").boolean());
  Call call;
  call.stream = stream.value_or(false);
  call.num_unknown_fields = count_unknown(*root, kKnown);
  std::vector<domain::Content> stops;
  for (const auto& stop : request.stop) stops.push_back(stop.clone());
  call.renderer = std::make_unique<MessagesRenderer>(call.stream, std::move(stops));
  call.requests.push_back(std::move(request));
  return call;
}

Result<Call> count_tokens(std::string_view body, const Limits& limits) {
  TACIT_TRY(const auto document, JsonDocument::parse(body, json_limits(limits)));
  TACIT_TRY(const auto* root, root_object(document));
  TACIT_TRY(auto request, read_request(*root, limits));
  request.purpose = domain::Purpose::count;
  Call call;
  call.num_unknown_fields = count_unknown(*root, kKnown);
  call.renderer = std::make_unique<CountRenderer>();
  call.requests.push_back(std::move(request));
  return call;
}

}  // namespace tacit::api::anthropic
