#include "engine/wire_request.hpp"

#include <cmath>
#include <cstring>
#include <limits>

namespace tacit::engine {

using Limits = ProtocolLimits;

namespace wire {
namespace {

Result<std::optional<std::uint32_t>> get_optional_u32(ByteReader& in) {
  TACIT_TRY(const bool there, get_bool(in));
  if (!there) return std::optional<std::uint32_t>{};
  TACIT_TRY(const auto v, in.u32());
  return std::optional{v};
}

Result<domain::Sampling> get_sampling(ByteReader& in) {
  domain::Sampling s;
  TACIT_TRY(const auto present, in.u32());
  if (present >> kSamplingFields != 0) return fail(Code::malformed, "unknown sampling field");
  Result<void> outcome;
  unsigned at = 0;
  each_sampling_field(s, [&](auto& field) {
    if ((present >> at++ & 1u) == 0 || !outcome) return;
    const auto bits = in.u32();
    if (!bits)
      outcome = fail(bits.error());
    else
      field = std::bit_cast<typename std::remove_cvref_t<decltype(field)>::value_type>(*bits);
  });
  TACIT_CHECK(std::move(outcome));
  return s;
}

Result<domain::Message> get_message(ByteReader& in) {
  domain::Message message;
  TACIT_TRY(message.role, get_enum(in, domain::Role::tool, "unknown role"));
  TACIT_TRY(const auto content, get_text(in, Limits::content_bytes_max));
  message.content = domain::Content{content};
  TACIT_TRY(const auto reasoning, get_text(in, Limits::content_bytes_max));
  message.reasoning = domain::Content{reasoning};
  TACIT_TRY(message.tool_call_id, get_text(in, Limits::name_bytes_max));
  TACIT_TRY(message.tool_name, get_text(in, Limits::name_bytes_max));
  TACIT_TRY(const auto n, get_count(in, Limits::tool_calls_max, "too many tool calls"));
  for (std::uint32_t i = 0; i < n; ++i) {
    domain::ToolCall call;
    TACIT_TRY(call.id, get_text(in, Limits::name_bytes_max));
    TACIT_TRY(call.name, get_text(in, Limits::name_bytes_max));
    TACIT_TRY(const auto arguments, get_text(in, Limits::content_bytes_max));
    call.arguments = domain::Content{arguments};
    message.tool_calls.push_back(std::move(call));
  }
  return message;
}

Result<void> get_prompt(ByteReader& in, domain::GenerateRequest& request) {
  TACIT_TRY(const auto num_messages, get_count(in, Limits::messages_max, "too many messages"));
  for (std::uint32_t i = 0; i < num_messages; ++i) {
    TACIT_TRY(auto message, get_message(in));
    request.messages.push_back(std::move(message));
  }
  TACIT_TRY(const bool has_text, get_bool(in));
  if (has_text) {
    TACIT_TRY(const auto text, get_text(in, Limits::content_bytes_max));
    request.text = domain::Content{text};
  }
  TACIT_TRY(const bool has_tokens, get_bool(in));
  if (has_tokens) {
    TACIT_TRY(const auto n, get_count(in, Limits::tokens_max, "too many tokens"));
    request.tokens.emplace();
    for (std::uint32_t i = 0; i < n; ++i) {
      TACIT_TRY(const auto token, get_i32(in));
      request.tokens->push_back(token);
    }
  }
  TACIT_TRY(request.text_has_special, get_bool(in));
  TACIT_TRY(request.add_start_token, get_bool(in));
  TACIT_TRY(request.continue_last, get_bool(in));
  return {};
}

Result<void> get_tools(ByteReader& in, domain::GenerateRequest& request) {
  TACIT_TRY(const auto n, get_count(in, Limits::tools_max, "too many tools"));
  for (std::uint32_t i = 0; i < n; ++i) {
    domain::Tool tool;
    TACIT_TRY(tool.name, get_text(in, Limits::name_bytes_max));
    TACIT_TRY(const auto description, get_text(in, Limits::content_bytes_max));
    tool.description = domain::Content{description};
    TACIT_TRY(const auto parameters, get_text(in, Limits::content_bytes_max));
    tool.parameters = domain::Content{parameters};
    request.tools.push_back(std::move(tool));
  }
  auto& choice = request.tool_choice;
  TACIT_TRY(choice.use, get_enum(in, domain::ToolUse::required, "unknown tool use"));
  TACIT_TRY(choice.name, get_text(in, Limits::name_bytes_max));
  TACIT_TRY(choice.parallel, get_bool(in));
  auto& constraint = request.constraint;
  TACIT_TRY(constraint.kind,
            get_enum(in, domain::Constraint::Kind::grammar, "unknown kind of constraint"));
  TACIT_TRY(const auto text, get_text(in, Limits::constraint_bytes_max));
  constraint.text = domain::Content{text};
  TACIT_TRY(request.reasoning.effort, get_enum(in, domain::Effort::high, "unknown effort"));
  TACIT_TRY(request.reasoning.tokens_max, get_optional_u32(in));
  return {};
}

}  // namespace

Result<domain::GenerateRequest> get_request(ByteReader& in) {
  domain::GenerateRequest request;
  TACIT_TRY(request.purpose, get_enum(in, domain::Purpose::embed, "unknown purpose"));
  TACIT_TRY(request.model, get_text(in, Limits::name_bytes_max));
  TACIT_TRY(const bool has_salt, get_bool(in));
  if (has_salt) {
    TACIT_TRY(const auto bytes, in.take(sizeof(domain::CacheSalt)));
    std::memcpy(request.cache_salt.emplace().data(), bytes.data(), bytes.size());
  }
  TACIT_TRY(request.tenant_weight, in.u32());
  TACIT_TRY(request.sampling, get_sampling(in));
  TACIT_TRY(request.max_tokens, get_optional_u32(in));
  TACIT_CHECK(get_prompt(in, request));
  TACIT_CHECK(get_tools(in, request));
  TACIT_TRY(const auto num_biases, get_count(in, Limits::biases_max, "too many logit biases"));
  for (std::uint32_t i = 0; i < num_biases; ++i) {
    domain::LogitBias bias;
    TACIT_TRY(bias.token, get_i32(in));
    TACIT_TRY(bias.bias, in.f32());
    request.logit_bias.push_back(bias);
  }
  TACIT_TRY(request.logprobs, get_optional_u32(in));
  TACIT_TRY(request.ignore_end, get_bool(in));
  TACIT_TRY(const auto num_stops, get_count(in, Limits::stops_max, "too many stop texts"));
  for (std::uint32_t i = 0; i < num_stops; ++i) {
    TACIT_TRY(const auto stop, get_text(in, Limits::stop_bytes_max));
    request.stop.emplace_back(stop);
  }
  TACIT_CHECK(check_request(request));
  return request;
}

}  // namespace wire

namespace {

Result<void> in_range(const std::optional<float>& value, float low, float high) {
  if (value && !(std::isfinite(*value) && *value >= low && *value <= high)) {
    return fail(Code::invalid_argument, "sampling parameter out of range");
  }
  return {};
}

Result<void> in_range(const std::optional<std::int32_t>& value, std::int32_t low,
                      std::int32_t high) {
  if (value && !(*value >= low && *value <= high)) {
    return fail(Code::invalid_argument, "sampling parameter out of range");
  }
  return {};
}

Result<void> check_sampling(const domain::Sampling& s) {
  constexpr auto most = std::numeric_limits<std::int32_t>::max();
  TACIT_CHECK(in_range(s.temperature, 0.0f, 2.0f));
  TACIT_CHECK(in_range(s.top_p, 0.0f, 1.0f));
  TACIT_CHECK(in_range(s.min_p, 0.0f, 1.0f));
  TACIT_CHECK(in_range(s.top_k, 0, most));
  TACIT_CHECK(in_range(s.frequency_penalty, -2.0f, 2.0f));
  TACIT_CHECK(in_range(s.presence_penalty, -2.0f, 2.0f));
  TACIT_CHECK(in_range(s.typical_p, 0.0f, 1.0f));
  TACIT_CHECK(in_range(s.repeat_penalty, 0.01f, 10.0f));
  TACIT_CHECK(in_range(s.repeat_last_n, -1, most));
  TACIT_CHECK(in_range(s.dry_multiplier, 0.0f, 100.0f));
  TACIT_CHECK(in_range(s.dry_base, 1.0f, 100.0f));
  TACIT_CHECK(in_range(s.dry_allowed_length, 0, most));
  TACIT_CHECK(in_range(s.dry_penalty_last_n, -1, most));
  TACIT_CHECK(in_range(s.xtc_probability, 0.0f, 1.0f));
  TACIT_CHECK(in_range(s.xtc_threshold, 0.0f, 1.0f));
  TACIT_CHECK(in_range(s.mirostat, 0, 2));
  TACIT_CHECK(in_range(s.mirostat_tau, 0.0f, 100.0f));
  return in_range(s.mirostat_eta, 0.0f, 1.0f);
}

// Counts text against the limit of all texts together.
class TextBudget {
 public:
  Result<void> take(std::string_view text, Literal not_utf8) {
    if (!is_utf8(text)) return fail(Code::invalid_argument, not_utf8);
    bytes_ += text.size();
    if (bytes_ > Limits::content_bytes_max) {
      return fail(Error{Code::too_large, "conversation too long"}.with(
          "limit", static_cast<std::int64_t>(Limits::content_bytes_max)));
    }
    return {};
  }
  static Result<void> name(std::string_view text) {
    if (text.size() > Limits::name_bytes_max) return fail(Code::too_large, "name too long");
    if (!is_utf8(text)) return fail(Code::invalid_argument, "name is not UTF-8");
    return {};
  }

 private:
  std::size_t bytes_ = 0;
};

Result<void> check_messages(const domain::GenerateRequest& request, TextBudget& budget) {
  if (request.messages.size() > Limits::messages_max)
    return fail(Code::too_large, "too many messages");
  std::size_t num_calls = 0;
  for (const auto& message : request.messages) {
    if (message.role > domain::Role::tool) return fail(Code::invalid_argument, "unknown role");
    TACIT_CHECK(budget.take(message.content.reveal(), "message is not UTF-8"));
    TACIT_CHECK(budget.take(message.reasoning.reveal(), "message is not UTF-8"));
    TACIT_CHECK(TextBudget::name(message.tool_call_id));
    TACIT_CHECK(TextBudget::name(message.tool_name));
    num_calls += message.tool_calls.size();
    if (num_calls > Limits::tool_calls_max) return fail(Code::too_large, "too many tool calls");
    for (const auto& call : message.tool_calls) {
      TACIT_CHECK(TextBudget::name(call.id));
      TACIT_CHECK(TextBudget::name(call.name));
      TACIT_CHECK(budget.take(call.arguments.reveal(), "message is not UTF-8"));
    }
  }
  return {};
}

Result<void> check_tools(const domain::GenerateRequest& request, TextBudget& budget) {
  if (request.tools.size() > Limits::tools_max) {
    return fail(Error{Code::too_large, "too many tools"}.with("limit", Limits::tools_max));
  }
  for (const auto& tool : request.tools) {
    if (tool.name.empty()) return fail(Code::invalid_argument, "tool has no name");
    TACIT_CHECK(TextBudget::name(tool.name));
    TACIT_CHECK(budget.take(tool.description.reveal(), "tool is not UTF-8"));
    TACIT_CHECK(budget.take(tool.parameters.reveal(), "tool is not UTF-8"));
  }
  TACIT_CHECK(TextBudget::name(request.tool_choice.name));
  const auto& constraint = request.constraint.text;
  if (constraint.size() > Limits::constraint_bytes_max) {
    return fail(Error{Code::too_large, "schema or grammar too long"}.with(
        "limit", static_cast<std::int64_t>(Limits::constraint_bytes_max)));
  }
  return budget.take(constraint.reveal(), "schema or grammar is not UTF-8");
}

Result<void> check_stops(const domain::GenerateRequest& request) {
  if (request.stop.size() > Limits::stops_max) {
    return fail(Error{Code::too_large, "too many stop texts"}.with("limit", Limits::stops_max));
  }
  for (const auto& stop : request.stop) {
    if (stop.empty()) return fail(Code::invalid_argument, "stop text is empty");
    if (stop.size() > Limits::stop_bytes_max) {
      return fail(
          Error{Code::too_large, "stop text too long"}.with("limit", Limits::stop_bytes_max));
    }
    if (!is_utf8(stop.reveal())) return fail(Code::invalid_argument, "stop text is not UTF-8");
  }
  return {};
}

}  // namespace

Result<void> check_request(const domain::GenerateRequest& request) {
  TACIT_CHECK(TextBudget::name(request.model));
  TACIT_CHECK(TextBudget::name(request.tenant));
  if (request.tenant_weight == 0 || request.tenant_weight > Limits::tenant_weight_max)
    return fail(Code::invalid_argument, "tenant weight out of range");
  TACIT_CHECK(check_sampling(request.sampling));
  TextBudget budget;
  TACIT_CHECK(check_messages(request, budget));
  if (request.text) TACIT_CHECK(budget.take(request.text->reveal(), "prompt is not UTF-8"));
  if (request.tokens && request.tokens->size() > Limits::tokens_max) {
    return fail(Error{Code::too_large, "too many tokens in the prompt"}.with(
        "limit", static_cast<std::int64_t>(Limits::tokens_max)));
  }
  TACIT_CHECK(check_tools(request, budget));
  if (request.logit_bias.size() > Limits::biases_max) {
    return fail(Error{Code::too_large, "too many logit biases"}.with("limit", Limits::biases_max));
  }
  for (const auto& each : request.logit_bias) {
    if (!std::isfinite(each.bias) || std::abs(each.bias) > 1e6f)
      return fail(Code::invalid_argument, "logit bias out of range");
  }
  if (request.logprobs.value_or(0) > Limits::logprobs_max) {
    return fail(
        Error{Code::too_large, "too many log-probabilities"}.with("limit", Limits::logprobs_max));
  }
  return check_stops(request);
}

}  // namespace tacit::engine
