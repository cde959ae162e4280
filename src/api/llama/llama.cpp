#include "api/llama/llama.hpp"

#include <array>
#include <functional>

#include "api/error_map.hpp"
#include "api/fields.hpp"
#include "api/json_text.hpp"

namespace tacit::api::llama {
namespace json = boost::json;
namespace {

std::string error_body(const Error& error, std::string_view /*code*/) {
  const auto shape = error_shape(error.code());
  JsonText out;
  out.raw(R"({"error":{"code":)")
      .number(shape.status)
      .raw(R"(,"message":)")
      .string(error.explain());
  out.raw(R"(,"type":)");
  switch (shape.status) {
    case 401: out.string("authentication_error"); break;
    case 403: out.string("permission_error"); break;
    case 404: out.string("not_found_error"); break;
    case 503: out.string("unavailable_error"); break;
    default:
      if (error.code() == Code::context_exceeded)
        out.string("exceed_context_size_error");
      else
        out.string(shape.status < 500 ? "invalid_request_error" : "server_error");
  }
  if (error.code() == Code::context_exceeded) {
    out.raw(R"(,"n_prompt_tokens":)").number(error.value("tokens"));
    out.raw(R"(,"n_ctx":)").number(error.value("limit"));
  }
  out.raw("}}");
  return std::string{out.text().reveal()};
}

// The server has one model or knows a default; an empty name means that one.
Result<std::string> read_name(const json::object& root, const Limits& limits) {
  const Field model{root, "model"};
  TACIT_TRY(const auto name, model.text());
  if (name && name->size() > limits.model_bytes_max)
    return fail(model.error(Code::invalid_argument, "name is too long"));
  return std::string{name.value_or("")};
}

// A renderer of one JSON body, made of everything that came.
class BodyRenderer final : public Renderer {
 public:
  struct Gathered {
    SecretText text;
    std::vector<std::int32_t> tokens;
    std::vector<float> vector;
    domain::Finished finished;
  };
  using Write = void (*)(JsonText& out, const Gathered& all);
  explicit BodyRenderer(Write write) : write_{write} {}
  void begin(const AnswerContext&) override {}
  void feed(std::uint32_t, const domain::Event& event) override {
    if (const auto* text = std::get_if<domain::TextDelta>(&event))
      all_.text.append(text->text.reveal());
    if (const auto* tokens = std::get_if<domain::TokensDelta>(&event))
      all_.tokens.insert(all_.tokens.end(), tokens->tokens.begin(), tokens->tokens.end());
    if (const auto* vector = std::get_if<domain::VectorDelta>(&event))
      all_.vector.insert(all_.vector.end(), vector->values.begin(), vector->values.end());
    const auto* finished = std::get_if<domain::Finished>(&event);
    if (finished == nullptr) return;
    all_.finished = *finished;
    write_(out_, all_);
  }
  SecretText take() override { return std::exchange(out_, JsonText{}).take(); }

 private:
  Write write_;
  Gathered all_;
  JsonText out_;
};

Call call_of(domain::GenerateRequest request, BodyRenderer::Write write) {
  Call call;
  call.requests.push_back(std::move(request));
  call.renderer = std::make_unique<BodyRenderer>(write);
  return call;
}

Result<domain::Content> required_text(const json::object& root, std::string_view name) {
  const Field field{root, name};
  TACIT_TRY(const auto text, field.required_text());
  return domain::Content{text};
}

Result<std::vector<std::int32_t>> read_tokens(const Field& field) {
  TACIT_TRY(const auto* list, field.array());
  if (list == nullptr) return fail(field.missing());
  std::vector<std::int32_t> tokens;
  tokens.reserve(list->size());
  for (const auto& each : *list) {
    if (!each.is_int64() || each.get_int64() < 0 || each.get_int64() > 10'000'000)
      return fail(field.error(Code::invalid_argument, "must hold numbers of tokens"));
    tokens.push_back(static_cast<std::int32_t>(each.get_int64()));
  }
  return tokens;
}

// {"content","stop",...}: one object, or one per event.
class CompletionRenderer final : public Renderer {
 public:
  explicit CompletionRenderer(bool stream, std::vector<domain::Content> stops)
      : stream_{stream}, stops_{std::move(stops)} {}
  void begin(const AnswerContext& context) override { context_ = context; }
  void timed(std::uint32_t, const Timing& timing) override { timing_ = timing; }
  void feed(std::uint32_t, const domain::Event& event) override {
    if (const auto* failed = std::get_if<domain::Failed>(&event)) {
      const auto body = error_body(failed->error, {});
      if (stream_) out_.append("data: ");
      out_.append(body);
      if (stream_) out_.append("\n\n");
    } else if (const auto* text = std::get_if<domain::TextDelta>(&event)) {
      if (!stream_) return text_.append(text->text.reveal());
      JsonText out;
      out.raw(R"({"index":0,"content":)").string(text->text.reveal());
      out.raw(R"(,"tokens":[],"stop":false,"id_slot":0,"tokens_predicted":)");
      out.number(num_tokens_ += text->num_tokens)
          .raw(R"(,"tokens_evaluated":)")
          .number(num_prompt_);
      send(out.raw("}").text().reveal());
    } else if (const auto* started = std::get_if<domain::Started>(&event)) {
      num_prompt_ = started->prompt_tokens;
    } else if (const auto* finished = std::get_if<domain::Finished>(&event)) {
      finish(*finished);
    }
  }
  SecretText take() override { return std::exchange(out_, SecretText{}); }

 private:
  void send(std::string_view json) {
    if (stream_) out_.append("data: ");
    out_.append(json);
    if (stream_) out_.append("\n\n");
  }
  void finish(const domain::Finished& finished) {
    const bool by_word = finished.stop_index && *finished.stop_index < stops_.size();
    const auto milliseconds = [](Nanoseconds time) {
      return static_cast<double>(time.count()) / 1e6;
    };
    JsonText out;
    out.raw(R"({"index":0,"content":)")
        .string(text_.reveal())
        .raw(R"(,"tokens":[],"id_slot":0,"stop":true)");
    out.raw(R"(,"model":)").string(context_.model);
    out.raw(R"(,"tokens_predicted":)").number(finished.usage.completion_tokens);
    out.raw(R"(,"tokens_evaluated":)").number(finished.usage.prompt_tokens);
    out.raw(R"(,"tokens_cached":)").number(finished.usage.cached_prompt_tokens);
    out.raw(R"(,"truncated":false,"has_new_line":)");
    out.boolean(text_.reveal().find('\n') != std::string_view::npos).raw(R"(,"stop_type":)");
    out.string(by_word                                           ? "word"
               : finished.reason == domain::FinishReason::length ? "limit"
                                                                 : "eos");
    out.raw(R"(,"stopping_word":)").string(by_word ? stops_[*finished.stop_index].reveal() : "");
    out.raw(R"(,"timings":{"prompt_n":)").number(finished.usage.prompt_tokens);
    out.raw(R"(,"prompt_ms":)").real(milliseconds(timing_.prompt));
    out.raw(R"(,"predicted_n":)").number(finished.usage.completion_tokens);
    out.raw(R"(,"predicted_ms":)").real(milliseconds(timing_.generate)).raw("}}");
    send(out.text().reveal());
  }
  bool stream_;
  std::vector<domain::Content> stops_;
  AnswerContext context_;
  Timing timing_;
  SecretText out_;
  SecretText text_;
  std::int64_t num_tokens_ = 0;
  std::int64_t num_prompt_ = 0;
};

Result<void> read_completion(const json::object& root, const Limits& limits,
                             domain::GenerateRequest& request) {
  TACIT_CHECK(refuse(root, {"image_data", "samplers", "lora", "t_max_predict_ms", "n_probs",
                            "input_extra", "dynatemp_range"}));
  const Field prompt{root, "prompt"};
  if (prompt.value() != nullptr && prompt.value()->is_array()) {
    TACIT_TRY(request.tokens, read_tokens(prompt));
  } else {
    TACIT_TRY(request.text, required_text(root, "prompt"));
  }
  TACIT_TRY(request.sampling, read_sampling(root));
  TACIT_TRY(request.stop, read_stops(Field{root, "stop"}, limits));
  for (const auto name : {"max_tokens", "n_predict"}) {
    TACIT_TRY(const auto n, Field(root, name).integer(-1, 2'147'483'647));
    if (n.value_or(-1) >= 0) request.max_tokens = static_cast<std::uint32_t>(*n);
  }
  TACIT_TRY(const auto ignore_end, Field(root, "ignore_eos").boolean());
  request.ignore_end = ignore_end.value_or(false);
  TACIT_TRY(const auto grammar, Field(root, "grammar").text());
  const Field schema{root, "json_schema"};
  TACIT_TRY(const auto* object, schema.object());
  if (object != nullptr)
    request.constraint = {domain::Constraint::Kind::json_schema, json_of(*schema.value())};
  else if (grammar && !grammar->empty())
    request.constraint = {domain::Constraint::Kind::grammar, domain::Content{*grammar}};
  return {};
}

}  // namespace

const Dialect kDialect{error_body};

Result<Call> tokenize(std::string_view body, const Limits& limits) {
  TACIT_TRY(const auto document, JsonDocument::parse(body, json_limits(limits)));
  TACIT_TRY(const auto* root, root_object(document));
  TACIT_CHECK(refuse(*root, {"with_pieces"}));
  domain::GenerateRequest request;
  request.purpose = domain::Purpose::tokenize;
  TACIT_TRY(request.model, read_name(*root, limits));
  TACIT_TRY(request.text, required_text(*root, "content"));
  TACIT_TRY(const auto add_special, Field(*root, "add_special").boolean());
  TACIT_TRY(const auto parse_special, Field(*root, "parse_special").boolean());
  request.add_start_token = add_special.value_or(false);
  request.text_has_special = parse_special.value_or(true);
  return call_of(std::move(request), [](JsonText& out, const BodyRenderer::Gathered& all) {
    out.raw(R"({"tokens":[)");
    for (std::size_t i = 0; i < all.tokens.size(); ++i) {
      if (i > 0) out.raw(",");
      out.number(all.tokens[i]);
    }
    out.raw("]}");
  });
}

Result<Call> detokenize(std::string_view body, const Limits& limits) {
  TACIT_TRY(const auto document, JsonDocument::parse(body, json_limits(limits)));
  TACIT_TRY(const auto* root, root_object(document));
  domain::GenerateRequest request;
  request.purpose = domain::Purpose::render;
  TACIT_TRY(request.model, read_name(*root, limits));
  TACIT_TRY(request.tokens, read_tokens(Field{*root, "tokens"}));
  return call_of(std::move(request), [](JsonText& out, const BodyRenderer::Gathered& all) {
    out.raw(R"({"content":)").string(all.text.reveal()).raw("}");
  });
}

Result<Call> apply_template(std::string_view body, const Limits& limits) {
  TACIT_TRY(const auto document, JsonDocument::parse(body, json_limits(limits)));
  TACIT_TRY(const auto* root, root_object(document));
  TACIT_CHECK(refuse(*root, {"tools"}));
  domain::GenerateRequest request;
  request.purpose = domain::Purpose::render;
  TACIT_TRY(request.model, read_name(*root, limits));
  const Field messages{*root, "messages"};
  TACIT_TRY(const auto* list, messages.array());
  if (list == nullptr || list->empty()) return fail(messages.missing());
  if (list->size() > limits.messages_max) {
    return fail(messages.error(Code::too_large, "too many messages")
                    .with("limit", static_cast<std::int64_t>(limits.messages_max)));
  }
  for (std::size_t i = 0; i < list->size(); ++i) {
    TACIT_TRY(const auto* each, object_at(*list, i, messages.path()));
    const auto path = at(messages.path(), i);
    const Field role{*each, "role", path};
    TACIT_TRY(const auto word, role.text());
    domain::Message message;
    if (word == "system" || word == "developer")
      message.role = domain::Role::system;
    else if (word == "assistant")
      message.role = domain::Role::assistant;
    else if (word != "user")
      return fail(role.error(Code::invalid_argument, "must be one of system, user, assistant"));
    TACIT_TRY(const auto content, Field(*each, "content", path).text());
    message.content = domain::Content{content.value_or("")};
    request.messages.push_back(std::move(message));
  }
  return call_of(std::move(request), [](JsonText& out, const BodyRenderer::Gathered& all) {
    out.raw(R"({"prompt":)").string(all.text.reveal()).raw("}");
  });
}

Result<Call> completion(std::string_view body, const Limits& limits) {
  TACIT_TRY(const auto document, JsonDocument::parse(body, json_limits(limits)));
  TACIT_TRY(const auto* root, root_object(document));
  domain::GenerateRequest request;
  TACIT_TRY(request.model, read_name(*root, limits));
  TACIT_CHECK(read_completion(*root, limits, request));
  TACIT_TRY(const auto stream, Field(*root, "stream").boolean());
  Call call;
  call.stream = stream.value_or(false);
  std::vector<domain::Content> stops;
  for (const auto& stop : request.stop) stops.push_back(stop.clone());
  call.renderer = std::make_unique<CompletionRenderer>(call.stream, std::move(stops));
  call.requests.push_back(std::move(request));
  return call;
}

Result<Call> embedding(std::string_view body, const Limits& limits) {
  TACIT_TRY(const auto document, JsonDocument::parse(body, json_limits(limits)));
  TACIT_TRY(const auto* root, root_object(document));
  domain::GenerateRequest request;
  request.purpose = domain::Purpose::embed;
  TACIT_TRY(request.model, read_name(*root, limits));
  TACIT_TRY(request.text, required_text(*root, "content"));
  request.text_has_special = false;
  return call_of(std::move(request), [](JsonText& out, const BodyRenderer::Gathered& all) {
    out.raw(R"([{"index":0,"embedding":[[)");
    for (std::size_t i = 0; i < all.vector.size(); ++i) {
      if (i > 0) out.raw(",");
      out.real(all.vector[i]);
    }
    out.raw("]]}]");
  });
}

}  // namespace tacit::api::llama
