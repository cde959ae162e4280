#include "api/openai/completions.hpp"

#include <array>

#include "api/error_map.hpp"
#include "api/openai/wire.hpp"

namespace tacit::api::openai {
namespace json = boost::json;
namespace {

// Fields that are read, or that cannot change what the answer says.
constexpr std::array<std::string_view, 22> kKnown{"model",
                                                  "prompt",
                                                  "stream",
                                                  "stream_options",
                                                  "max_tokens",
                                                  "stop",
                                                  "n",
                                                  "best_of",
                                                  "echo",
                                                  "logprobs",
                                                  "logit_bias",
                                                  "suffix",
                                                  "grammar",
                                                  "user",
                                                  "metadata",
                                                  "response_format",
                                                  "json_schema",
                                                  "ignore_eos",
                                                  "cache_prompt",
                                                  "store",
                                                  "service_tier",
                                                  "safety_identifier"};

// A text, an array of texts, tokens, or an array of tokens.
class PromptReader {
 public:
  explicit PromptReader(std::vector<domain::GenerateRequest>& out) : out_{out} {}

  Result<void> read(const Field& field, const Limits& limits) {
    const auto* value = field.value();
    if (value == nullptr) return fail(field.missing());
    if (const auto* text = value->if_string()) return add_text(view(*text));
    const auto* list = value->if_array();
    if (list == nullptr || list->empty())
      return fail(field.error(Code::invalid_argument, "must be a string, or an array of strings"));
    if (list->front().is_number()) return add_tokens(*list, field);
    if (list->size() > limits.choices_max) {
      return fail(field.error(Code::too_large, "too many prompts")
                      .with("limit", static_cast<std::int64_t>(limits.choices_max)));
    }
    for (const auto& each : *list) {
      if (const auto* text = each.if_string()) {
        TACIT_CHECK(add_text(view(*text)));
      } else if (const auto* tokens = each.if_array()) {
        TACIT_CHECK(add_tokens(*tokens, field));
      } else {
        return fail(field.error(Code::invalid_argument, "must hold strings or arrays of tokens"));
      }
    }
    return {};
  }

 private:
  Result<void> add_text(std::string_view text) {
    out_.emplace_back().text = domain::Content{text};
    return {};
  }
  Result<void> add_tokens(const json::array& list, const Field& field) {
    std::vector<std::int32_t> tokens;
    tokens.reserve(list.size());
    for (const auto& each : list) {
      if (!each.is_int64() || each.get_int64() < 0 || each.get_int64() > 10'000'000)
        return fail(field.error(Code::invalid_argument, "must hold numbers of tokens"));
      tokens.push_back(static_cast<std::int32_t>(each.get_int64()));
    }
    out_.emplace_back().tokens = std::move(tokens);
    return {};
  }
  std::vector<domain::GenerateRequest>& out_;
};

// What every prompt of the request shares, in the first one.
Result<void> read_shared(const json::object& root, const Limits& limits,
                         domain::GenerateRequest& request) {
  TACIT_TRY(request.sampling, read_sampling(root));
  TACIT_TRY(request.stop, read_stops(Field{root, "stop"}, limits));
  TACIT_TRY(request.logit_bias, read_logit_bias(Field{root, "logit_bias"}));
  TACIT_TRY(const auto max, Field(root, "max_tokens").integer(0, 2'147'483'647));
  request.max_tokens = static_cast<std::uint32_t>(max.value_or(16));
  TACIT_TRY(const auto logprobs, Field(root, "logprobs").integer(0, 20));
  if (logprobs) request.logprobs = static_cast<std::uint32_t>(*logprobs);
  TACIT_TRY(const auto ignore_end, Field(root, "ignore_eos").boolean());
  request.ignore_end = ignore_end.value_or(false);
  TACIT_TRY(request.constraint, read_format(Field{root, "response_format"}, true));
  TACIT_TRY(const auto grammar, Field(root, "grammar").text());
  if (grammar && !grammar->empty())
    request.constraint = {domain::Constraint::Kind::grammar, domain::Content{*grammar}};
  return {};
}

void append_legacy_logprobs(JsonText& out, const std::vector<domain::TokenLogprob>& logprobs,
                            std::size_t offset) {
  JsonText tokens;
  JsonText values;
  JsonText tops;
  JsonText offsets;
  for (std::size_t i = 0; i < logprobs.size(); ++i) {
    const auto& each = logprobs[i];
    if (i > 0) {
      for (auto* text : {&tokens, &values, &tops, &offsets}) text->raw(",");
    }
    tokens.string_of_bytes(each.bytes.reveal());
    values.real(each.logprob);
    tops.raw("{");
    for (std::size_t k = 0; k < each.top.size(); ++k) {
      if (k > 0) tops.raw(",");
      tops.string_of_bytes(each.top[k].bytes.reveal()).raw(":").real(each.top[k].logprob);
    }
    tops.raw("}");
    offsets.number(static_cast<std::int64_t>(offset));
    offset += each.bytes.size();
  }
  out.raw(R"({"tokens":[)").raw(tokens.text().reveal());
  out.raw(R"(],"token_logprobs":[)").raw(values.text().reveal());
  out.raw(R"(],"top_logprobs":[)").raw(tops.text().reveal());
  out.raw(R"(],"text_offset":[)").raw(offsets.text().reveal()).raw("]}");
}

void append_head(JsonText& out, const AnswerContext& context) {
  out.raw(R"({"id":"cmpl-)").raw(context.id).raw(R"(","object":"text_completion","created":)");
  out.number(context.created_unix_s).raw(R"(,"model":)").string(context.model);
  out.raw(R"(,"system_fingerprint":null,"choices":[)");
}

}  // namespace

CompletionsRenderer::CompletionsRenderer(Options options)
    : options_{std::move(options)}, choices_(options_.num_choices) {}

void CompletionsRenderer::feed(std::uint32_t index, const domain::Event& event) {
  auto& choice = choices_[index];
  if (const auto* failed = std::get_if<domain::Failed>(&event)) {
    if (options_.stream) out_.append("data: ");
    out_.append(openai_error(failed->error));
    if (options_.stream) out_.append("\n\n");
    return;
  }
  if (!choice.begun) {
    choice.begun = true;
    const auto prompt = index / options_.num_choices_of_prompt;
    if (prompt < options_.echoes.size() && !options_.echoes[prompt].empty()) {
      const auto echo = options_.echoes[prompt].reveal();
      if (options_.stream)
        chunk(index, echo, {}, nullptr);
      else
        choice.text.append(echo);
      choice.offset = echo.size();
    }
  }
  if (const auto* delta = std::get_if<domain::TextDelta>(&event)) {
    if (options_.stream) return chunk(index, delta->text.reveal(), delta->logprobs, nullptr);
    choice.text.append(delta->text.reveal());
    for (const auto& each : delta->logprobs) {
      auto& copy = choice.logprobs.emplace_back(
          domain::TokenLogprob{each.token, each.bytes.clone(), each.logprob, {}});
      for (const auto& top : each.top)
        copy.top.push_back({top.token, top.bytes.clone(), top.logprob, {}});
    }
  } else if (const auto* finished = std::get_if<domain::Finished>(&event)) {
    ++num_finished_;
    choice.reason = finished->reason;
    if (index % options_.num_choices_of_prompt == 0) {
      usage_.prompt_tokens += finished->usage.prompt_tokens;
      usage_.cached_prompt_tokens += finished->usage.cached_prompt_tokens;
    }
    usage_.completion_tokens += finished->usage.completion_tokens;
    if (options_.stream)
      chunk(index, {}, {}, finished);
    else if (num_finished_ == options_.num_choices)
      whole_body();
  }
}

void CompletionsRenderer::chunk(std::uint32_t index, std::string_view text,
                                const std::vector<domain::TokenLogprob>& logprobs,
                                const domain::Finished* finished) {
  JsonText out;
  out.raw("data: ");
  append_head(out, context_);
  out.raw(R"({"index":)").number(index).raw(R"(,"text":)").string(text).raw(R"(,"logprobs":)");
  if (logprobs.empty()) {
    out.raw("null");
  } else {
    append_legacy_logprobs(out, logprobs, choices_[index].offset);
    for (const auto& each : logprobs) choices_[index].offset += each.bytes.size();
  }
  out.raw(R"(,"finish_reason":)");
  if (finished == nullptr)
    out.raw("null");
  else
    out.string(finish_word(finished->reason));
  out.raw(options_.include_usage ? "}],\"usage\":null}\n\n" : "}]}\n\n");
  if (finished != nullptr && num_finished_ == options_.num_choices) {
    if (options_.include_usage) {
      out.raw("data: ");
      append_head(out, context_);
      out.raw(R"(],"usage":)");
      append_usage(out, usage_);
      out.raw("}\n\n");
    }
    out.raw("data: [DONE]\n\n");
  }
  out_.append(out.text().reveal());
}

void CompletionsRenderer::whole_body() {
  JsonText out;
  append_head(out, context_);
  for (std::uint32_t i = 0; i < choices_.size(); ++i) {
    const auto& choice = choices_[i];
    if (i > 0) out.raw(",");
    out.raw(R"({"index":)").number(i).raw(R"(,"text":)").string(choice.text.reveal());
    out.raw(R"(,"logprobs":)");
    if (options_.logprobs)
      append_legacy_logprobs(out, choice.logprobs, choice.offset);
    else
      out.raw("null");
    out.raw(R"(,"finish_reason":)").string(finish_word(choice.reason)).raw("}");
  }
  out.raw(R"(],"usage":)");
  append_usage(out, usage_);
  out.raw("}");
  out_.append(out.text().reveal());
}

Result<Call> completions(std::string_view body, const Limits& limits) {
  TACIT_TRY(const auto document, JsonDocument::parse(body, json_limits(limits)));
  TACIT_TRY(const auto* root, root_object(document));
  TACIT_TRY(const auto model, read_model(*root, limits));
  const Field suffix{*root, "suffix"};
  TACIT_TRY(const auto after, suffix.text());
  if (after && !after->empty())
    return fail(suffix.error(Code::unsupported, "this field is not supported by this server"));
  std::vector<domain::GenerateRequest> prompts;
  TACIT_CHECK(PromptReader{prompts}.read(Field{*root, "prompt"}, limits));
  const auto choices_max = static_cast<std::int64_t>(limits.choices_max / prompts.size());
  TACIT_TRY(const auto n, Field(*root, "n").integer(1, choices_max));
  const Field best{*root, "best_of"};
  TACIT_TRY(const auto best_of, best.integer(1, 128));
  if (best_of.value_or(1) > n.value_or(1))
    return fail(best.error(Code::unsupported, "more than n is not supported by this server"));
  TACIT_TRY(const auto stream, Field(*root, "stream").boolean());
  TACIT_TRY(const auto echo, Field(*root, "echo").boolean());
  domain::GenerateRequest shared;
  shared.model = model;
  TACIT_CHECK(read_shared(*root, limits, shared));

  Call call;
  call.stream = stream.value_or(false);
  call.num_unknown_fields = count_unknown(*root, kKnown);
  CompletionsRenderer::Options options{.stream = call.stream,
                                       .logprobs = shared.logprobs.has_value()};
  TACIT_TRY(options.include_usage, read_include_usage(*root, call.stream));
  options.num_choices_of_prompt = static_cast<std::uint32_t>(n.value_or(1));
  for (auto& prompt : prompts) {
    if (echo.value_or(false))
      options.echoes.push_back(prompt.text ? prompt.text->clone() : SecretText{});
    auto request = shared.clone();
    request.text = std::move(prompt.text);
    request.tokens = std::move(prompt.tokens);
    for (auto& each : choices_of(std::move(request), options.num_choices_of_prompt))
      call.requests.push_back(std::move(each));
  }
  options.num_choices = static_cast<std::uint32_t>(call.requests.size());
  call.renderer = std::make_unique<CompletionsRenderer>(std::move(options));
  return call;
}

}  // namespace tacit::api::openai
