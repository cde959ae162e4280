#include <algorithm>

#include "engine/llama_chat.hpp"

#include "chat-peg-parser.h"
#include "json-schema-to-grammar.h"

namespace tacit::engine {
namespace {

// How tools are described to a model whose template knows none: the format that most small models
// have seen (Hermes, Qwen).
constexpr const char* kCallStart = "<tool_call>";
constexpr const char* kCallEnd = "</tool_call>";

std::string describe(const common_chat_templates_inputs& inputs) {
  std::string text =
      "You may call functions to answer. Here are their signatures:\n<tools>\n" +
      common_chat_tools_to_json_oaicompat(inputs.tools).dump() +
      "\n</tools>\nTo call a function, answer with a JSON object between tags:\n" + kCallStart +
      "\n{\"name\": <function name>, \"arguments\": <arguments object>}\n" + kCallEnd;
  return text;
}

// Writes earlier calls and their results as text.
void write_out(common_chat_msg& message) {
  for (const auto& call : message.tool_calls) {
    const auto name = common_json(call.name).dump();
    if (!message.content.empty()) message.content += "\n";
    message.content += std::string{kCallStart} + "\n{\"name\": " + name +
                       ", \"arguments\": " + (call.arguments.empty() ? "{}" : call.arguments) +
                       "}\n" + kCallEnd;
  }
  message.tool_calls.clear();
  if (message.role != "tool") return;
  message.role = "user";
  message.content = "<tool_response>\n" + message.content + "\n</tool_response>";
  message.tool_call_id.clear();
  message.tool_name.clear();
}

// The answers to several calls in a row become one turn: many templates want turns to alternate.
void join_user_turns(std::vector<common_chat_msg>& messages) {
  std::vector<common_chat_msg> joined;
  for (auto& message : messages) {
    if (message.role == "user" && !joined.empty() && joined.back().role == "user" &&
        message.content.starts_with("<tool_response>"))
      joined.back().content += "\n" + message.content;
    else
      joined.push_back(std::move(message));
  }
  messages = std::move(joined);
}

RenderedChat apply_described(const common_chat_templates* templates,
                             const common_chat_templates_inputs& inputs) {
  auto plain = inputs;
  plain.tools.clear();
  for (auto& message : plain.messages) write_out(message);
  join_user_turns(plain.messages);
  const bool may_call = inputs.tool_choice != COMMON_CHAT_TOOL_CHOICE_NONE && !inputs.tools.empty();
  if (may_call) {
    const auto text = describe(inputs);
    if (!plain.messages.empty() && plain.messages.front().role == "system") {
      plain.messages.front().content += "\n\n" + text;
    } else {
      common_chat_msg system;
      system.role = "system";
      system.content = text;
      plain.messages.insert(plain.messages.begin(), std::move(system));
    }
  }
  RenderedChat rendered{common_chat_templates_apply(templates, plain)};
  if (!may_call || !inputs.json_schema.empty()) return rendered;
  const bool required = inputs.tool_choice == COMMON_CHAT_TOOL_CHOICE_REQUIRED;
  const auto tools = common_chat_tools_to_json_oaicompat(inputs.tools);
  const auto parser = build_chat_peg_parser([&](common_chat_peg_builder& p) {
    const auto call = p.standard_json_tools(kCallStart, kCallEnd, tools, false, true);
    const auto calls =
        p.trigger_rule("tool-calls", inputs.parallel_tool_calls ? p.one_or_more(call + p.space())
                                                                : call + p.space());
    const auto text = p.optional(p.content(p.until(kCallStart)));
    return p.prefix(rendered.generation_prompt) + text + (required ? calls : p.optional(calls)) +
           p.end();
  });
  rendered.parser = parser.save();
  rendered.format = COMMON_CHAT_FORMAT_PEG_NATIVE;
  // The lazy grammar begins with a call; when one is required, it holds from the first token on.
  rendered.grammar = build_grammar(
      [&](const common_grammar_builder& builder) { parser.build_grammar(builder, true); });
  rendered.grammar_lazy = !required;
  rendered.grammar_begins_with_answer = required;
  rendered.grammar_triggers.clear();
  if (!required)
    rendered.grammar_triggers.push_back(
        {COMMON_GRAMMAR_TRIGGER_TYPE_WORD, kCallStart, LLAMA_TOKEN_NULL});
  return rendered;
}

// The library's grammar for a required call lets the model talk first, for as long as it likes.
// What it makes for an optional one begins with the call: that is taken instead, except where the
// model is to think first.
void force_call(const common_chat_templates* templates, const common_chat_templates_inputs& inputs,
                RenderedChat& rendered) {
  if (!rendered.thinking_start_tag.empty() && inputs.enable_thinking) return;
  auto optional = inputs;
  optional.tool_choice = COMMON_CHAT_TOOL_CHOICE_AUTO;
  const auto other = common_chat_templates_apply(templates, optional);
  const bool begins_with_call =
      other.grammar_lazy && !other.grammar.empty() && !other.grammar_triggers.empty() &&
      std::ranges::all_of(other.grammar_triggers, [](const auto& trigger) {
        return trigger.type == COMMON_GRAMMAR_TRIGGER_TYPE_WORD;
      });
  if (!begins_with_call) return;
  rendered.grammar = other.grammar;
  rendered.grammar_begins_with_answer = true;
}

}  // namespace

RenderedChat render_chat(const common_chat_templates* templates,
                         const common_chat_templates_inputs& inputs) {
  const bool mentions_tools =
      !inputs.tools.empty() || std::ranges::any_of(inputs.messages, [](const auto& message) {
        return message.role == "tool" || !message.tool_calls.empty();
      });
  if (!mentions_tools) return RenderedChat{common_chat_templates_apply(templates, inputs)};
  if (!common_chat_templates_get_caps(templates)["supports_tool_calls"])
    return apply_described(templates, inputs);
  RenderedChat rendered{common_chat_templates_apply(templates, inputs)};
  if (!inputs.tools.empty() && inputs.tool_choice == COMMON_CHAT_TOOL_CHOICE_REQUIRED &&
      inputs.json_schema.empty())
    force_call(templates, inputs, rendered);
  return rendered;
}

}  // namespace tacit::engine
