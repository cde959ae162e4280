// Anthropic Messages: bytes to domain, events to bytes. Pure functions; no I/O.
// Source: Anthropic's API reference, "Messages", "Count tokens" and "Streaming messages"
// (anthropic-version 2023-06-01), and the types of its SDKs.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "api/generation.hpp"

namespace tacit::api::anthropic {

extern const Dialect kDialect;

// POST /v1/messages
Result<Call> messages(std::string_view body, const Limits& limits);
// POST /v1/messages/count_tokens
Result<Call> count_tokens(std::string_view body, const Limits& limits);

// The message, or its events: message_start, then for each block content_block_start, _delta,
// _stop, then message_delta and message_stop.
class MessagesRenderer final : public Renderer {
 public:
  MessagesRenderer(bool stream, std::vector<domain::Content> stops);

  void begin(const AnswerContext& context) override { context_ = context; }
  void feed(std::uint32_t choice, const domain::Event& event) override;
  SecretText take() override;

 private:
  enum class Block : std::uint8_t { none, text, thinking, tool };
  struct Whole {  // one block of an answer that is not streamed
    Block kind;
    std::string id;
    std::string name;
    SecretText text;
  };
  void start(std::uint32_t prompt_tokens);
  void open(Block kind, std::string_view block_json);
  void close();
  void delta(std::string_view type, std::string_view member, std::string_view text);
  void text(Block kind, const domain::Content& text);
  void tool(const domain::ToolCallDelta& call);
  void finish(const domain::Finished& finished);
  void event(std::string_view name, std::string_view json);

  bool stream_;
  std::vector<domain::Content> stops_;
  AnswerContext context_;
  SecretText out_;
  std::vector<Whole> blocks_;
  Block open_ = Block::none;
  std::uint32_t num_blocks_ = 0;
  bool started_ = false;
  std::uint32_t prompt_tokens_ = 0;
};

}  // namespace tacit::api::anthropic
