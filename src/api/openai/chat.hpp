// OpenAI Chat Completions: bytes to domain, events to bytes. Pure functions; no I/O.
// Source: OpenAI's API description (openai/openai-openapi v2.3.0), paths./chat/completions.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "api/generation.hpp"
#include "core/error.hpp"
#include "domain/event.hpp"
#include "domain/request.hpp"

namespace tacit::api::openai {

extern const Dialect kDialect;

struct ChatRequest {
  domain::GenerateRequest generate;
  bool stream = false;
  bool include_usage = false;            // stream_options.include_usage
  std::uint32_t num_choices = 1;         // n
  std::uint32_t num_unknown_fields = 0;  // accepted and ignored
};

// parse_chat reads a request body; errors as for api::Parse.
Result<ChatRequest> parse_chat(std::string_view body, const Limits& limits = {});
// The same as an api::Parse.
Result<Call> chat(std::string_view body, const Limits& limits);

class ChatRenderer final : public Renderer {
 public:
  struct Options {
    bool stream = false;
    bool include_usage = false;
    std::uint32_t num_choices = 1;
    bool logprobs = false;
  };
  explicit ChatRenderer(Options options);

  void begin(const AnswerContext& context) override;
  void feed(std::uint32_t choice, const domain::Event& event) override;
  SecretText take() override;

 private:
  struct ToolCall {
    std::string id;
    std::string name;
    SecretText arguments;
  };
  struct Choice {
    bool role_sent = false;
    SecretText content;  // of the whole answer, when not streaming
    SecretText reasoning;
    SecretText logprobs;  // JSON, without brackets
    std::map<std::uint32_t, ToolCall> calls;
    domain::FinishReason reason = domain::FinishReason::stop;
  };
  void feed_streamed(std::uint32_t choice, const domain::Event& event);
  void feed_whole(std::uint32_t choice, const domain::Event& event);
  void chunk(std::uint32_t choice, std::string_view delta, std::string_view finish_reason,
             std::string_view logprobs = "null");
  void text_chunk(std::uint32_t choice, std::string_view member, const domain::Content& text,
                  std::string_view logprobs);
  void call_chunk(std::uint32_t choice, const domain::ToolCallDelta& call);
  void whole_body();
  void count(const domain::Finished& finished, std::uint32_t choice);

  Options options_;
  AnswerContext context_;
  std::string chunk_head_;  // the part that all chunks share
  std::string chunk_tail_;  // after the choice: usage null and the end of the event
  SecretText out_;
  std::vector<Choice> choices_;
  std::uint32_t num_finished_ = 0;
  domain::Usage usage_;
};

}  // namespace tacit::api::openai
