// Private to the files that touch llama.cpp: its chat templates and parsers.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/answer_parser.hpp"
#include "engine/fence.hpp"
#include "engine/llama_edge.hpp"

#include "chat.h"

namespace tacit::engine {

void wipe_text(std::string& text) noexcept;

// Conversation is what the template library gets of a request: every text with its control tokens
// fenced (see fence.hpp), wiped at the end. (Copies that the library makes itself are beyond our
// reach; the process has no core dumps and lends its memory to nobody.)
struct Conversation {
  Conversation(const domain::GenerateRequest& request, Fence& fence);
  ~Conversation();
  Conversation(const Conversation&) = delete;
  Conversation& operator=(const Conversation&) = delete;
  common_chat_templates_inputs inputs;
};

// RenderedChat is a conversation as the template library renders it.
struct RenderedChat : common_chat_params {
  RenderedChat() = default;
  explicit RenderedChat(common_chat_params params) : common_chat_params{std::move(params)} {}
  // The grammar describes the answer alone, not also what the template adds before it.
  bool grammar_begins_with_answer = false;
};

// Renders a conversation. A template that knows no tools gets them described in words, with a
// format of ours; a required call is required from the first token on, unless the model thinks
// first. Throws what the library throws.
RenderedChat render_chat(const common_chat_templates* templates,
                         const common_chat_templates_inputs& inputs);

// TemplateShape remembers what the library says of a template when no tools, schemas or beginnings
// of answers take part. The library analyses the template anew for every conversation, which takes
// several times as long as rendering it.
class TemplateShape {
 public:
  // Renders some harmless conversations both ways; where the prompts differ nothing is remembered.
  void learn(const common_chat_templates* templates);
  // As render_chat, for a conversation of that kind (see is_simple); but `parser` may be another,
  // so that this is for templates whose answers need none.
  RenderedChat render(const common_chat_templates* templates,
                      const common_chat_templates_inputs& inputs) const;
  bool known() const noexcept { return shapes_.size() == 2; }

 private:
  std::vector<RenderedChat> shapes_;  // without thinking, and with
};

// Whether a conversation has nothing but messages and asks for a new answer.
bool is_simple(const common_chat_templates_inputs& inputs);

// A parser for one answer, by what the template said about its format.
std::unique_ptr<AnswerParser> make_answer_parser(const RenderedChat& rendered,
                                                 bool parse_tool_calls, bool continued);

}  // namespace tacit::engine
