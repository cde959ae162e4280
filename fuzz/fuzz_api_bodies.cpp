// Whatever the bytes, to whichever API: an error never quotes them, and names fields by paths of
// our own letters; what is accepted keeps its limits and is UTF-8 throughout; and what a renderer
// makes of an answer is JSON (or lines or events of JSON).
#include <array>

#include "api/anthropic/messages.hpp"
#include "api/generation.hpp"
#include "api/llama/llama.hpp"
#include "api/ollama/ollama.hpp"
#include "api/openai/chat.hpp"
#include "api/openai/completions.hpp"
#include "api/openai/embeddings.hpp"
#include "api/openai/responses.hpp"
#include "core/text.hpp"
#include "fuzz.hpp"

namespace {

using namespace tacit;  // NOLINT: a fuzzer's own file
using domain::Content;

constexpr std::array<api::Parse, 15> kParsers{
    api::openai::chat,          api::openai::completions, api::openai::embeddings,
    api::openai::responses,     api::anthropic::messages, api::anthropic::count_tokens,
    api::ollama::chat,          api::ollama::generate,    api::ollama::embed,
    api::ollama::embeddings,    api::llama::tokenize,     api::llama::detokenize,
    api::llama::apply_template, api::llama::completion,   api::llama::embedding};

void check_error(const Error& error) {
  for (const char c : error.subject()) {
    const bool ours = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
                      c == '[' || c == ']';
    FUZZ_CHECK(ours);
  }
}

void check_request(const domain::GenerateRequest& request) {
  const api::Limits limits;
  FUZZ_CHECK(request.model.size() <= limits.model_bytes_max);
  FUZZ_CHECK(request.stop.size() <= limits.stops_max);
  FUZZ_CHECK(request.tools.size() <= limits.tools_max);
  FUZZ_CHECK(request.logprobs.value_or(0) <= 20);
  FUZZ_CHECK(is_utf8(request.constraint.text.reveal()));
  FUZZ_CHECK(!request.text || is_utf8(request.text->reveal()));
  for (const auto& message : request.messages) {
    FUZZ_CHECK(is_utf8(message.content.reveal()));
    for (const auto& call : message.tool_calls) FUZZ_CHECK(is_utf8(call.arguments.reveal()));
  }
  for (const auto& tool : request.tools) {
    FUZZ_CHECK(!tool.name.empty());
    FUZZ_CHECK(is_utf8(tool.parameters.reveal()));
  }
}

// Every event that there can be, to every choice.
void render(api::Call& call) {
  auto& renderer = *call.renderer;
  renderer.begin({"0123456789abcdef01234567", "m\"\n", 1'800'000'000});
  const auto num_choices = static_cast<std::uint32_t>(call.requests.size());
  for (std::uint32_t i = 0; i < num_choices; ++i) {
    renderer.feed(i, domain::Started{3});
    renderer.feed(i, domain::ReasoningDelta{Content{"so \"then\""}});
    domain::TextDelta text{Content{"a\n\x01"}};
    text.logprobs.push_back({7, Content{"\xC3"}, -0.5F});
    text.logprobs.back().top.push_back({8, Content{"b"}, -1.5F});
    renderer.feed(i, domain::Event{std::move(text)});
    renderer.feed(i, domain::ToolCallDelta{0, "call_1", "f\"", Content{}});
    renderer.feed(i, domain::ToolCallDelta{0, "", "", Content{R"({"a":1})"}});
    renderer.feed(i, domain::TokensDelta{{1, 2}});
    renderer.feed(i, domain::VectorDelta{{0.5F, -1.0F}});
    renderer.timed(i, {});
    renderer.feed(i, domain::Finished{domain::FinishReason::tool_calls, {3, 1, 4}, 0U});
  }
  const auto bytes = renderer.take();
  FUZZ_CHECK(!bytes.empty());
  FUZZ_CHECK(is_utf8(bytes.reveal()));
  FUZZ_CHECK(call.stream == (bytes.reveal().back() == '\n'));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const auto parse = kParsers[data[0] % kParsers.size()];
  const std::string_view body{reinterpret_cast<const char*>(data + 1), size - 1};
  auto call = parse(body, {});
  if (!call) {
    check_error(call.error());
    return 0;
  }
  FUZZ_CHECK(!call->requests.empty() && call->requests.size() <= 2048);
  for (const auto& request : call->requests) check_request(request);
  render(*call);
  return 0;
}
