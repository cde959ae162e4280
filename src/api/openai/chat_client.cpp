#include "api/openai/chat_client.hpp"

#include <algorithm>
#include <limits>
#include <string>

#include "api/fields.hpp"
#include "api/json_text.hpp"
#include "core/text.hpp"

namespace tacit::api::openai {
namespace {

namespace json = boost::json;

constexpr JsonLimits kEventLimits{
    .body_bytes_max = 1024 * 1024, .depth_max = 16, .values_max = 10'000};
constexpr std::size_t kWordsBytesMax = 300;

std::string_view role_word(domain::Role role) {
  switch (role) {
    case domain::Role::system: return "system";
    case domain::Role::assistant: return "assistant";
    case domain::Role::tool: return "tool";
    case domain::Role::user: break;
  }
  return "user";
}

bool is_plain_chat(const domain::GenerateRequest& request) {
  return request.purpose == domain::Purpose::generate && !request.text && !request.tokens &&
         request.tools.empty() && request.constraint.kind == domain::Constraint::Kind::none &&
         request.logit_bias.empty() && !request.logprobs && !request.continue_last &&
         std::ranges::none_of(request.messages, [](const domain::Message& message) {
           return message.role == domain::Role::tool || !message.tool_calls.empty();
         });
}

void append_sampling(JsonText& out, const domain::Sampling& sampling) {
  const auto real = [&out](std::string_view name, const std::optional<float>& value) {
    if (value) out.raw(",\"").raw(name).raw("\":").real(*value);
  };
  const auto number = [&out](std::string_view name, const auto& value) {
    if (value) out.raw(",\"").raw(name).raw("\":").number(std::int64_t{*value});
  };
  real("temperature", sampling.temperature);
  real("top_p", sampling.top_p);
  real("min_p", sampling.min_p);
  number("top_k", sampling.top_k);
  real("frequency_penalty", sampling.frequency_penalty);
  real("presence_penalty", sampling.presence_penalty);
  number("seed", sampling.seed);
}

// A count of tokens; what is none counts as 0: nothing depends on it.
std::uint32_t count_of(const json::object& usage, std::string_view name) {
  const auto count = Field{usage, name}.integer(0, std::numeric_limits<std::uint32_t>::max());
  return count ? static_cast<std::uint32_t>(count->value_or(0)) : 0;
}

domain::FinishReason reason_of(std::string_view word) {
  if (word == "length") return domain::FinishReason::length;
  if (word == "tool_calls") return domain::FinishReason::tool_calls;
  return domain::FinishReason::stop;
}

// The server's own words, made fit for a line.
std::string words_of(const json::object& error) {
  const auto message = Field{error, "message"}.text();
  if (!message || !*message) return {};
  auto words = std::string{(*message)->substr(0, kWordsBytesMax)};
  std::erase_if(words, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
  return words;
}

Result<void> read_choice(const json::object& choice, domain::FinishReason& reason,
                         domain::EventBatch& out) {
  TACIT_TRY(const auto finish, Field(choice, "finish_reason").text());
  if (finish) reason = reason_of(*finish);
  TACIT_TRY(const auto* delta, Field(choice, "delta").object());
  if (delta == nullptr) return {};
  TACIT_TRY(const auto reasoning, Field(*delta, "reasoning_content").text());
  if (reasoning && !reasoning->empty()) {
    out.emplace_back(domain::ReasoningDelta{domain::Content{*reasoning}});
  }
  TACIT_TRY(const auto text, Field(*delta, "content").text());
  if (text && !text->empty()) out.emplace_back(domain::TextDelta{domain::Content{*text}});
  return {};
}

}  // namespace

Result<SecretText> chat_body(const domain::GenerateRequest& request) {
  if (!is_plain_chat(request)) return fail(Code::unsupported, "only plain chats are sent on");
  JsonText out;
  out.raw(R"({"model":)").string(request.model).raw(R"(,"messages":[)");
  bool first = true;
  for (const auto& message : request.messages) {
    if (!first) out.raw(",");
    first = false;
    out.raw(R"({"role":)").string(role_word(message.role));
    out.raw(R"(,"content":)").string(message.content.reveal()).raw("}");
  }
  out.raw("]");
  append_sampling(out, request.sampling);
  if (request.max_tokens) out.raw(R"(,"max_tokens":)").number(*request.max_tokens);
  if (!request.stop.empty()) {
    out.raw(R"(,"stop":[)");
    first = true;
    for (const auto& stop : request.stop) {
      if (!first) out.raw(",");
      first = false;
      out.string(stop.reveal());
    }
    out.raw("]");
  }
  out.raw(R"(,"stream":true,"stream_options":{"include_usage":true}})");
  return std::move(out).take();
}

Result<void> ChatStream::feed(std::string_view data, domain::EventBatch& out) {
  if (finished_) return {};
  if (data == "[DONE]") {
    finished_ = true;
    out.emplace_back(domain::Finished{reason_, usage_, {}});
    return {};
  }
  TACIT_TRY(const auto document, JsonDocument::parse(data, kEventLimits));
  TACIT_TRY(const auto* root, root_object(document));
  TACIT_TRY(const auto* error, Field(*root, "error").object());
  if (error != nullptr) {
    finished_ = true;
    auto words = words_of(*error);
    out.emplace_back(
        domain::Failed{Error{Code::unavailable, "the server broke the answer off"}.about(
            PublicText{std::move(words)})});
    return {};
  }
  TACIT_TRY(const auto* usage, Field(*root, "usage").object());
  if (usage != nullptr) {
    usage_.prompt_tokens = count_of(*usage, "prompt_tokens");
    usage_.completion_tokens = count_of(*usage, "completion_tokens");
  }
  TACIT_TRY(const auto* choices, Field(*root, "choices").array());
  if (choices == nullptr || choices->empty()) return {};
  TACIT_TRY(const auto* choice, object_at(*choices, 0, "choices"));
  return read_choice(*choice, reason_, out);
}

Error chat_error(int status, std::string_view body) {
  std::string words;
  if (const auto document = JsonDocument::parse(body, kEventLimits)) {
    if (const auto root = root_object(*document)) {
      const auto error = Field{**root, "error"}.object();
      if (error && *error != nullptr) words = words_of(**error);
    }
  }
  const auto about = [&](Error error) {
    return words.empty() ? std::move(error).with("status", status)
                         : std::move(error).about(PublicText{std::move(words)});
  };
  switch (status) {
    case 401:
    case 403:
      return about(Error{Code::unauthenticated, "the server wants an API key that it knows"}.fix(
          "Put the key into TACIT_API_KEY, or into a file and name it with --key-file"));
    case 404: return about({Code::not_found, "the server does not have it"});
    case 429:
    case 503: return about({Code::overloaded, "the server is too busy"});
    default: return about({Code::unavailable, "the server refused the request"});
  }
}

}  // namespace tacit::api::openai
