// Whatever the bytes: parsing a chat request never fails in a way that quotes them, and what is
// accepted keeps its limits. What an answer is rendered to is JSON that says the same text.
#include <string>

#include "api/openai/chat.hpp"
#include "core/text.hpp"
#include "fuzz.hpp"

namespace {

using tacit::api::openai::ChatRenderer;
using tacit::api::openai::parse_chat;

// Errors name fields by their path: letters of our own, digits, brackets.
void check_error(const tacit::Error& error) {
  for (const char c : error.subject()) {
    const bool ours = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
                      c == '[' || c == ']';
    FUZZ_CHECK(ours);
  }
}

// The answer's text survives: rendered as one JSON string, parsed back as the content of a request.
void check_round_trip(const tacit::SecretText& text) {
  ChatRenderer renderer{{.stream = true}};
  renderer.begin({"i", "m", 1});
  renderer.feed(0, tacit::domain::TextDelta{text.clone()});
  const auto bytes = renderer.take();
  constexpr std::string_view open = R"("delta":{"content":)";
  const auto begin = bytes.reveal().find(open);
  const auto end = bytes.reveal().rfind(R"(},"logprobs")");
  FUZZ_CHECK(begin != std::string_view::npos && end != std::string_view::npos);
  std::string body = R"({"model":"m","messages":[{"role":"user","content":)";
  body += bytes.reveal().substr(begin + open.size(), end - begin - open.size());
  body += "}]}";
  const auto again = parse_chat(body);
  FUZZ_CHECK(again.has_value());
  FUZZ_CHECK(again->generate.messages.at(0).content.reveal() == text.reveal());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view body{reinterpret_cast<const char*>(data), size};
  const auto parsed = parse_chat(body);
  if (!parsed) {
    check_error(parsed.error());
    return 0;
  }
  const auto& request = parsed->generate;
  FUZZ_CHECK(!request.model.empty() && request.model.size() <= 256);
  FUZZ_CHECK(!request.messages.empty());
  FUZZ_CHECK(request.stop.size() <= 16);
  FUZZ_CHECK(!request.max_tokens || *request.max_tokens >= 1);
  FUZZ_CHECK(!request.sampling.temperature ||
             (*request.sampling.temperature >= 0 && *request.sampling.temperature <= 2));
  for (const auto& message : request.messages) FUZZ_CHECK(tacit::is_utf8(message.content.reveal()));
  check_round_trip(request.messages.front().content);
  return 0;
}
