#include <array>

#include "api/fields.hpp"
#include "api/json_text.hpp"
#include "api/ollama/ollama.hpp"

namespace tacit::api::ollama {
namespace json = boost::json;
namespace {

// Fields that are read, or that cannot change what the answer says.
constexpr std::array<std::string_view, 21> kKnown{
    "model",  "messages", "tools",      "think",      "format",   "options",      "stream",
    "prompt", "system",   "raw",        "suffix",     "template", "images",       "context",
    "input",  "truncate", "keep_alive", "dimensions", "logprobs", "top_logprobs", "name"};

// read_sampling knows temperature and the like; these are Ollama's own.
Result<void> read_options(const json::object& root, const Limits& limits,
                          domain::GenerateRequest& request) {
  const Field options{root, "options"};
  TACIT_TRY(const auto* object, options.object());
  if (object == nullptr) return {};
  TACIT_TRY(request.sampling, read_sampling(*object, options.path()));
  TACIT_TRY(request.stop, read_stops(Field{*object, "stop", options.path()}, limits));
  TACIT_TRY(const auto predict,
            Field(*object, "num_predict", options.path()).integer(-2, 2'147'483'647));
  if (predict.value_or(-1) >= 0) request.max_tokens = static_cast<std::uint32_t>(*predict);
  return {};
}

Result<void> read_think(const json::object& root, domain::GenerateRequest& request) {
  using domain::Effort;
  const Field field{root, "think"};
  if (field.value() == nullptr) return {};
  if (const auto* flag = field.value()->if_bool()) {
    request.reasoning.effort = *flag ? Effort::unset : Effort::none;
    return {};
  }
  TACIT_TRY(const auto word, field.text());
  if (word == "low")
    request.reasoning.effort = Effort::low;
  else if (word == "medium")
    request.reasoning.effort = Effort::medium;
  else if (word == "high" || word == "max")
    request.reasoning.effort = Effort::high;
  else
    return fail(field.error(Code::invalid_argument, "must be a boolean, low, medium or high"));
  return {};
}

// "json", or a JSON schema.
Result<void> read_format(const json::object& root, domain::GenerateRequest& request) {
  const Field field{root, "format"};
  const auto* value = field.value();
  if (value == nullptr) return {};
  if (const auto* word = value->if_string()) {
    if (*word == "json") request.constraint = any_object();
    if (*word == "json" || word->empty()) return {};
    return fail(field.error(Code::invalid_argument, "must be json or a JSON schema"));
  }
  TACIT_TRY(const auto* object, field.object());
  if (!object->empty())
    request.constraint = {domain::Constraint::Kind::json_schema, json_of(*value)};
  return {};
}

Result<domain::Message> read_message(const json::object& object, const std::string& path) {
  domain::Message message;
  const Field role{object, "role", path};
  TACIT_TRY(const auto word, role.text());
  if (word == "user")
    message.role = domain::Role::user;
  else if (word == "assistant")
    message.role = domain::Role::assistant;
  else if (word == "system")
    message.role = domain::Role::system;
  else if (word == "tool")
    message.role = domain::Role::tool;
  else
    return fail(role.error(Code::invalid_argument, "must be one of system, user, assistant, tool"));
  TACIT_CHECK(refuse(object, {"images"}, path));
  TACIT_TRY(const auto content, Field(object, "content", path).text());
  message.content = domain::Content{content.value_or("")};
  TACIT_TRY(const auto thinking, Field(object, "thinking", path).text());
  message.reasoning = domain::Content{thinking.value_or("")};
  TACIT_TRY(const auto name, Field(object, "tool_name", path).text());
  message.tool_name = name.value_or("");
  TACIT_TRY(const auto id, Field(object, "tool_call_id", path).text());
  message.tool_call_id = id.value_or("");
  const Field calls{object, "tool_calls", path};
  TACIT_TRY(const auto* list, calls.array());
  for (std::size_t i = 0; list != nullptr && i < list->size(); ++i) {
    TACIT_TRY(const auto* each, object_at(*list, i, calls.path()));
    const Field function{*each, "function", at(calls.path(), i)};
    TACIT_TRY(const auto* inner, function.required_object());
    domain::ToolCall call;
    const Field call_name{*inner, "name", function.path()};
    TACIT_TRY(const auto text, call_name.required_name());
    call.name = text;
    TACIT_TRY(const auto call_id, Field(*each, "id", at(calls.path(), i)).text());
    call.id = call_id.value_or("");
    const Field arguments{*inner, "arguments", function.path()};
    TACIT_TRY(const auto* given, arguments.object());
    call.arguments = given == nullptr ? domain::Content{"{}"} : json_of(*arguments.value());
    message.tool_calls.push_back(std::move(call));
  }
  return message;
}

Result<void> read_tools(const json::object& root, const Limits& limits,
                        domain::GenerateRequest& request) {
  TACIT_TRY(const auto* list, read_tool_list(root, "tools", limits));
  for (std::size_t i = 0; list != nullptr && i < list->size(); ++i) {
    TACIT_TRY(const auto* each, object_at(*list, i, "tools"));
    const Field function{*each, "function", at("tools", i)};
    TACIT_TRY(const auto* inner, function.required_object());
    TACIT_TRY(auto tool, read_tool(*inner, function.path(), "parameters"));
    request.tools.push_back(std::move(tool));
  }
  return {};
}

// What chat and generate share. `request` already has its prompt, or none: then the model is only
// loaded.
Result<Call> finish_call(const json::object& root, const Limits& limits,
                         domain::GenerateRequest request, bool chat) {
  TACIT_CHECK(refuse(root, {"logprobs", "top_logprobs"}));
  TACIT_CHECK(read_options(root, limits, request));
  TACIT_CHECK(read_think(root, request));
  TACIT_CHECK(read_format(root, request));
  TACIT_TRY(const auto stream, Field(root, "stream").boolean());
  AnswerRenderer::Options options{.stream = stream.value_or(true), .chat = chat};
  options.only_load = request.messages.empty() && !request.text;
  if (options.only_load) {
    request.purpose = domain::Purpose::count;
    request.text = domain::Content{};
  }
  Call call;
  call.stream = options.stream;
  call.stream_type = "application/x-ndjson";
  call.num_unknown_fields = count_unknown(root, kKnown);
  call.renderer = std::make_unique<AnswerRenderer>(options);
  call.requests.push_back(std::move(request));
  return call;
}

// {"embeddings":[[...]]}, or {"embedding":[...]} of the older endpoint.
class EmbedRenderer final : public Renderer {
 public:
  EmbedRenderer(std::size_t num_inputs, bool old) : vectors_(num_inputs), old_{old} {}
  void begin(const AnswerContext& context) override { context_ = context; }
  void timed(std::uint32_t, const Timing& timing) override { timing_ = timing; }
  void feed(std::uint32_t choice, const domain::Event& event) override {
    if (const auto* vector = std::get_if<domain::VectorDelta>(&event)) {
      auto& into = vectors_[choice];
      for (const auto value : vector->values) {
        if (!into.empty()) into.raw(",");
        into.real(value);
      }
    }
    const auto* finished = std::get_if<domain::Finished>(&event);
    if (finished == nullptr) return;
    num_tokens_ += finished->usage.prompt_tokens;
    if (++num_finished_ == vectors_.size()) whole_body();
  }
  SecretText take() override { return std::exchange(out_, JsonText{}).take(); }

 private:
  void whole_body() {
    if (old_) {
      out_.raw(R"({"embedding":[)").raw(vectors_.front().text().reveal()).raw("]}");
      return;
    }
    out_.raw(R"({"model":)").string(context_.model).raw(R"(,"embeddings":[)");
    for (std::size_t i = 0; i < vectors_.size(); ++i) {
      if (i > 0) out_.raw(",");
      out_.raw("[").raw(vectors_[i].text().reveal()).raw("]");
    }
    out_.raw(R"(],"total_duration":)").number(timing_.total.count());
    out_.raw(R"(,"load_duration":)").number(timing_.load.count());
    out_.raw(R"(,"prompt_eval_count":)").number(num_tokens_).raw("}");
  }
  std::vector<JsonText> vectors_;
  bool old_;
  AnswerContext context_;
  Timing timing_;
  std::uint32_t num_finished_ = 0;
  std::int64_t num_tokens_ = 0;
  JsonText out_;
};

domain::GenerateRequest embedding_of(const std::string& model, std::string_view text) {
  domain::GenerateRequest request;
  request.purpose = domain::Purpose::embed;
  request.model = model;
  request.text = domain::Content{text};
  request.text_has_special = false;
  return request;
}

}  // namespace

Result<Call> chat(std::string_view body, const Limits& limits) {
  TACIT_TRY(const auto document, JsonDocument::parse(body, json_limits(limits)));
  TACIT_TRY(const auto* root, root_object(document));
  domain::GenerateRequest request;
  TACIT_TRY(request.model, read_model(*root, limits));
  const Field field{*root, "messages"};
  TACIT_TRY(const auto* list, field.array());
  if (list != nullptr && list->size() > limits.messages_max) {
    return fail(field.error(Code::too_large, "too many messages")
                    .with("count", static_cast<std::int64_t>(list->size()))
                    .with("limit", static_cast<std::int64_t>(limits.messages_max)));
  }
  for (std::size_t i = 0; list != nullptr && i < list->size(); ++i) {
    TACIT_TRY(const auto* object, object_at(*list, i, field.path()));
    TACIT_TRY(auto message, read_message(*object, at(field.path(), i)));
    request.messages.push_back(std::move(message));
  }
  TACIT_CHECK(read_tools(*root, limits, request));
  return finish_call(*root, limits, std::move(request), true);
}

Result<Call> generate(std::string_view body, const Limits& limits) {
  TACIT_TRY(const auto document, JsonDocument::parse(body, json_limits(limits)));
  TACIT_TRY(const auto* root, root_object(document));
  domain::GenerateRequest request;
  TACIT_TRY(request.model, read_model(*root, limits));
  TACIT_CHECK(refuse(*root, {"images", "context"}));
  for (const auto name : {"template", "suffix"}) {
    const Field field{*root, name};
    TACIT_TRY(const auto text, field.text());
    if (text && !text->empty())
      return fail(field.error(Code::unsupported, "this field is not supported by this server"));
  }
  TACIT_TRY(const auto prompt, Field(*root, "prompt").text());
  TACIT_TRY(const auto system, Field(*root, "system").text());
  TACIT_TRY(const auto raw, Field(*root, "raw").boolean());
  if (prompt && !prompt->empty()) {
    if (raw.value_or(false)) {
      request.text = domain::Content{*prompt};
    } else {
      if (system && !system->empty())
        request.messages.push_back({domain::Role::system, domain::Content{*system}});
      request.messages.push_back({domain::Role::user, domain::Content{*prompt}});
    }
  }
  return finish_call(*root, limits, std::move(request), false);
}

Result<Call> embed(std::string_view body, const Limits& limits) {
  TACIT_TRY(const auto document, JsonDocument::parse(body, json_limits(limits)));
  TACIT_TRY(const auto* root, root_object(document));
  TACIT_TRY(const auto model, read_model(*root, limits));
  TACIT_CHECK(refuse(*root, {"dimensions"}));
  const Field input{*root, "input"};
  Call call;
  call.num_unknown_fields = count_unknown(*root, kKnown);
  if (input.value() == nullptr) return fail(input.missing());
  if (const auto* text = input.value()->if_string()) {
    call.requests.push_back(embedding_of(model, view(*text)));
  } else {
    TACIT_TRY(const auto* list, input.array());
    if (list->empty()) return fail(input.error(Code::invalid_argument, "has no text"));
    if (list->size() > limits.inputs_max) {
      return fail(input.error(Code::too_large, "too many texts")
                      .with("limit", static_cast<std::int64_t>(limits.inputs_max)));
    }
    for (const auto& each : *list) {
      const auto* one = each.if_string();
      if (one == nullptr) return fail(input.error(Code::invalid_argument, "must hold strings"));
      call.requests.push_back(embedding_of(model, view(*one)));
    }
  }
  call.renderer = std::make_unique<EmbedRenderer>(call.requests.size(), false);
  return call;
}

Result<Call> embeddings(std::string_view body, const Limits& limits) {
  TACIT_TRY(const auto document, JsonDocument::parse(body, json_limits(limits)));
  TACIT_TRY(const auto* root, root_object(document));
  TACIT_TRY(const auto model, read_model(*root, limits));
  const Field prompt{*root, "prompt"};
  TACIT_TRY(const auto text, prompt.required_text());
  Call call;
  call.num_unknown_fields = count_unknown(*root, kKnown);
  call.requests.push_back(embedding_of(model, text));
  call.renderer = std::make_unique<EmbedRenderer>(1, true);
  return call;
}

Result<std::string> parse_show(std::string_view body, const Limits& limits) {
  TACIT_TRY(const auto document, JsonDocument::parse(body, json_limits(limits)));
  TACIT_TRY(const auto* root, root_object(document));
  TACIT_TRY(const auto old, Field(*root, "name").text());
  if (old && !old->empty() && root->if_contains("model") == nullptr) return std::string{*old};
  return read_model(*root, limits);
}

}  // namespace tacit::api::ollama
