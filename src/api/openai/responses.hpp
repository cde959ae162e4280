// OpenAI Responses, stateless: bytes to domain, events to bytes. Pure functions; no I/O.
// Source: OpenAI's API description (openai/openai-openapi v2.3.0), paths./responses, and the types
// of its SDKs, whose stream helpers fold the events into the response.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "api/generation.hpp"

namespace tacit::api::openai {

// POST /v1/responses
Result<Call> responses(std::string_view body, const Limits& limits);

class ResponsesRenderer final : public Renderer {
 public:
  // What the response says again of its request, as JSON.
  struct Echo {
    SecretText instructions{"null"};
    SecretText tools{"[]"};
    SecretText format{R"({"type":"text"})"};
    SecretText metadata{"{}"};
    std::string tool_choice = "\"auto\"";
    std::string effort = "null";
    std::string temperature = "1";
    std::string top_p = "1";
    std::string max_output_tokens = "null";
    std::uint32_t top_logprobs = 0;
    bool parallel_tool_calls = true;
  };
  ResponsesRenderer(bool stream, Echo echo) : stream_{stream}, echo_{std::move(echo)} {}

  void begin(const AnswerContext& context) override { context_ = context; }
  void feed(std::uint32_t choice, const domain::Event& event) override;
  SecretText take() override { return std::exchange(out_, SecretText{}); }

 private:
  enum class Kind : std::uint8_t { none, message, reasoning, call };
  void start();
  void open(Kind kind, std::string_view call_id, std::string_view name);
  void close(std::string_view status);
  void message_text(const domain::TextDelta& delta);
  void delta(std::string_view type, std::string_view text, std::string_view logprobs);
  void finish(const domain::Finished& finished);
  void failed(const Error& error);
  SecretText item(std::string_view status, bool empty) const;
  SecretText part(bool empty) const;
  std::string item_id() const;
  SecretText response(std::string_view status, std::string_view details,
                      const domain::Usage* usage);
  // {"type":...,"sequence_number":n,<members>}
  void event(std::string_view type, std::string_view members);

  bool stream_;
  Echo echo_;
  AnswerContext context_;
  SecretText out_;
  std::uint32_t sequence_ = 0;
  bool started_ = false;
  Kind kind_ = Kind::none;
  std::uint32_t index_ = 0;  // of the open item
  std::string call_id_;
  std::string name_;
  SecretText text_;      // of the open item
  SecretText logprobs_;  // likewise: JSON, without brackets
  SecretText items_;     // that are done: JSON, separated by commas
  std::uint32_t reasoning_tokens_ = 0;
};

}  // namespace tacit::api::openai
