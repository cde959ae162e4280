#include "engine/llama_chat.hpp"

#include <algorithm>
#include <exception>
#include <random>

#include "core/text.hpp"

namespace tacit::engine {
namespace {

const char* role_name(domain::Role role) noexcept {
  switch (role) {
    case domain::Role::system: return "system";
    case domain::Role::user: return "user";
    case domain::Role::assistant: return "assistant";
    case domain::Role::tool: return "tool";
  }
  return "user";
}

const char* effort_name(domain::Effort effort) noexcept {
  switch (effort) {
    case domain::Effort::minimal:
    case domain::Effort::low: return R"("low")";
    case domain::Effort::medium: return R"("medium")";
    case domain::Effort::high: return R"("high")";
    case domain::Effort::unset:
    case domain::Effort::none: break;
  }
  return nullptr;
}

// The whole texts that a fence must know before it chooses its mark.
void see_everything(const domain::GenerateRequest& request, Fence& fence) {
  for (const auto& message : request.messages) {
    fence.see(message.content.reveal());
    fence.see(message.reasoning.reveal());
    fence.see(message.tool_name);
    fence.see(message.tool_call_id);
    for (const auto& call : message.tool_calls) {
      fence.see(call.id);
      fence.see(call.name);
      fence.see(call.arguments.reveal());
    }
  }
  for (const auto& tool : request.tools) {
    fence.see(tool.name);
    fence.see(tool.description.reveal());
    fence.see(tool.parameters.reveal());
  }
  fence.see(request.constraint.text.reveal());
}

// A name that a caller can tell from others; no secret.
std::string new_call_id() {
  static constexpr std::string_view kLetters =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  std::random_device random;
  std::string id = "call_";
  for (int i = 0; i < 24; ++i) id += kLetters[random() % kLetters.size()];
  return id;
}

std::string_view whole_characters(std::string_view text) {
  return text.substr(0, utf8_complete_prefix(text));
}

// AnswerParser over common_chat_parse, which reads the whole text each time. To keep the cost of a
// long answer linear, it reads again only after the text has grown by a sixty-fourth.
class ChatAnswerParser final : public AnswerParser {
 public:
  explicit ChatAnswerParser(common_chat_parser_params params) : params_{std::move(params)} {
    if (params_.is_continuation) skip_prefill();
  }
  ~ChatAnswerParser() override { wipe_text(text_); }

  void feed(std::string_view text, std::vector<domain::Event>& out) override {
    text_.append(text);
    if (text_.size() - parsed_size_ < text_.size() / 64) return;
    parse(true, out);
  }

  void finish(bool cut_off, std::vector<domain::Event>& out) override {
    if (text_.empty() || parse(cut_off, out)) return;
    // What the model said follows its own format no more: it is text, and nothing is lost.
    std::string_view rest{text_};
    if (rest.starts_with(content_)) rest.remove_prefix(content_.size());
    if (rest.empty() || !calls_.empty() || !reasoning_.empty()) return;
    out.emplace_back(domain::TextDelta{domain::Content{rest}});
  }

  bool found_tool_call() const noexcept override { return !calls_.empty(); }

 private:
  struct Call {
    std::string id;
    std::string arguments;  // sent so far
  };

  void skip_prefill() {
    try {
      const auto before = common_chat_parse("", true, params_);
      content_ = before.content;
      reasoning_ = before.reasoning_content;
    } catch (const std::exception&) {
      content_.clear();
    }
  }

  bool parse(bool partial, std::vector<domain::Event>& out) {
    parsed_size_ = text_.size();
    common_chat_msg message;
    try {
      message = common_chat_parse(text_, partial, params_);
    } catch (const std::exception&) {
      return false;
    }
    grow(reasoning_, message.reasoning_content, [&](std::string_view more) {
      out.emplace_back(domain::ReasoningDelta{domain::Content{more}});
    });
    grow(content_, message.content, [&](std::string_view more) {
      out.emplace_back(domain::TextDelta{domain::Content{more}});
    });
    for (std::size_t i = 0; i < message.tool_calls.size(); ++i) {
      const bool settled = !partial || i + 1 < message.tool_calls.size();
      if (!grow_call(i, message.tool_calls[i], settled, out)) break;
    }
    wipe_text(message.content);
    wipe_text(message.reasoning_content);
    for (auto& call : message.tool_calls) wipe_text(call.arguments);
    return true;
  }

  // `sent` is what was told of a text that is now `whole`.
  template <class Send>
  static void grow(std::string& sent, std::string_view whole, const Send& send) {
    if (!whole.starts_with(sent)) return;
    const auto more = whole_characters(whole.substr(sent.size()));
    if (more.empty()) return;
    send(more);
    sent.append(more);
  }

  // False: this call is not known well enough yet, so that no later one may be told of.
  bool grow_call(std::size_t index, const common_chat_tool_call& call, bool settled,
                 std::vector<domain::Event>& out) {
    if (call.name.empty() || !is_utf8(call.name)) return false;
    // A name can grow until its arguments begin.
    if (index >= calls_.size() && call.arguments.empty() && !settled) return false;
    const auto at = static_cast<std::uint32_t>(index);
    if (index >= calls_.size()) {
      calls_.push_back({call.id.empty() || !is_utf8(call.id) ? new_call_id() : call.id, {}});
      out.emplace_back(domain::ToolCallDelta{at, calls_.back().id, call.name, {}});
    }
    grow(calls_[index].arguments, call.arguments, [&](std::string_view more) {
      out.emplace_back(domain::ToolCallDelta{at, {}, {}, domain::Content{more}});
    });
    return true;
  }

  common_chat_parser_params params_;
  std::string text_;
  std::size_t parsed_size_ = 0;
  std::string content_;    // sent so far
  std::string reasoning_;  // likewise
  std::vector<Call> calls_;
};

}  // namespace

void wipe_text(std::string& text) noexcept {
  wipe(std::as_writable_bytes(std::span{text}));
  text.clear();
}

Conversation::Conversation(const domain::GenerateRequest& request, Fence& fence) {
  see_everything(request, fence);
  fence.choose_mark();
  inputs.use_jinja = true;
  inputs.add_generation_prompt = true;
  inputs.reasoning_format = COMMON_REASONING_FORMAT_AUTO;
  inputs.messages.reserve(request.messages.size());
  for (const auto& message : request.messages) {
    auto& out = inputs.messages.emplace_back();
    out.role = role_name(message.role);
    out.content = fence.shield(message.content.reveal());
    out.reasoning_content = fence.shield(message.reasoning.reveal());
    out.tool_call_id = fence.shield(message.tool_call_id);
    out.tool_name = fence.shield(message.tool_name);
    for (const auto& call : message.tool_calls)
      out.tool_calls.push_back(
          {fence.shield(call.name), fence.shield(call.arguments.reveal()), fence.shield(call.id)});
  }
  const auto& choice = request.tool_choice;
  for (const auto& tool : request.tools) {
    if (choice.use == domain::ToolUse::required && !choice.name.empty() && tool.name != choice.name)
      continue;  // the library knows "one of these"; one that is alone is the one
    inputs.tools.push_back({fence.shield(tool.name), fence.shield(tool.description.reveal()),
                            fence.shield(tool.parameters.reveal())});
  }
  switch (choice.use) {
    case domain::ToolUse::automatic: inputs.tool_choice = COMMON_CHAT_TOOL_CHOICE_AUTO; break;
    case domain::ToolUse::none: inputs.tool_choice = COMMON_CHAT_TOOL_CHOICE_NONE; break;
    case domain::ToolUse::required: inputs.tool_choice = COMMON_CHAT_TOOL_CHOICE_REQUIRED; break;
  }
  inputs.parallel_tool_calls = choice.parallel;
  if (request.constraint.kind == domain::Constraint::Kind::json_schema)
    inputs.json_schema = std::string{request.constraint.text.reveal()};
  inputs.enable_thinking = request.reasoning.effort != domain::Effort::none;
  if (const auto* effort = effort_name(request.reasoning.effort))
    inputs.chat_template_kwargs["reasoning_effort"] = effort;
  if (request.continue_last) {
    inputs.add_generation_prompt = false;
    inputs.continue_final_message = COMMON_CHAT_CONTINUATION_AUTO;
  }
}

Conversation::~Conversation() {
  for (auto& message : inputs.messages) {
    wipe_text(message.content);
    wipe_text(message.reasoning_content);
    for (auto& call : message.tool_calls) wipe_text(call.arguments);
  }
  for (auto& tool : inputs.tools) {
    wipe_text(tool.description);
    wipe_text(tool.parameters);
  }
  wipe_text(inputs.json_schema);
}

namespace {

std::vector<common_chat_templates_inputs> simple_conversations(bool thinking) {
  const auto message = [](const char* role, const char* text) {
    common_chat_msg out;
    out.role = role;
    out.content = text;
    return out;
  };
  const auto system = message("system", "Be brief.");
  const auto user = message("user", " Hello?\n");
  auto assistant = message("assistant", "Hello!");
  std::vector<std::vector<common_chat_msg>> all{
      {user}, {system, user}, {system, user, assistant, user}};
  assistant.reasoning_content = "A greeting.";
  all.push_back({user, assistant, user});
  std::vector<common_chat_templates_inputs> out;
  for (auto& messages : all) {
    auto& inputs = out.emplace_back();
    inputs.use_jinja = true;
    inputs.add_generation_prompt = true;
    inputs.reasoning_format = COMMON_REASONING_FORMAT_AUTO;
    inputs.enable_thinking = thinking;
    inputs.messages = std::move(messages);
  }
  return out;
}

common_chat_params render_alone(const common_chat_templates* templates,
                                common_chat_templates_inputs inputs) {
  inputs.force_pure_content = true;
  auto out = common_chat_templates_apply(templates, inputs);
  for (auto& message : inputs.messages) {
    wipe_text(message.content);
    wipe_text(message.reasoning_content);
  }
  return out;
}

// The parts that the rest of this module reads, beside the prompt.
bool same_shape(const common_chat_params& a, const common_chat_params& b) {
  return a.additional_stops == b.additional_stops && a.preserved_tokens == b.preserved_tokens &&
         a.thinking_start_tag == b.thinking_start_tag &&
         a.thinking_end_tags == b.thinking_end_tags && a.generation_prompt == b.generation_prompt &&
         a.parser == b.parser && a.grammar == b.grammar;
}

}  // namespace

bool is_simple(const common_chat_templates_inputs& inputs) {
  return inputs.tools.empty() && inputs.json_schema.empty() && inputs.grammar.empty() &&
         inputs.add_generation_prompt &&
         inputs.continue_final_message == COMMON_CHAT_CONTINUATION_NONE &&
         std::ranges::all_of(inputs.messages, [](const auto& message) {
           return message.tool_calls.empty() && message.role != "tool";
         });
}

void TemplateShape::learn(const common_chat_templates* templates) {
  shapes_.clear();
  for (const bool thinking : {false, true}) {
    std::optional<RenderedChat> shape;
    for (const auto& inputs : simple_conversations(thinking)) {
      const auto whole = render_chat(templates, inputs);
      const auto alone = render_alone(templates, inputs);
      const bool same = whole.prompt == alone.prompt &&
                        whole.generation_prompt == alone.generation_prompt &&
                        (!shape || same_shape(*shape, whole));
      if (!same) return shapes_.clear();
      if (!shape) shape = whole;
    }
    shape->prompt.clear();
    shapes_.push_back(*std::move(shape));
  }
}

RenderedChat TemplateShape::render(const common_chat_templates* templates,
                                   const common_chat_templates_inputs& inputs) const {
  if (!known() || !is_simple(inputs)) return render_chat(templates, inputs);
  auto out = shapes_[inputs.enable_thinking ? 1 : 0];
  out.prompt = render_alone(templates, inputs).prompt;
  return out;
}

std::unique_ptr<AnswerParser> make_answer_parser(const RenderedChat& rendered,
                                                 bool parse_tool_calls, bool continued) {
  common_chat_parser_params params{rendered};
  params.reasoning_format = COMMON_REASONING_FORMAT_AUTO;
  params.parse_tool_calls = parse_tool_calls;
  params.is_continuation = continued;
  if (!rendered.parser.empty()) params.parser.load(rendered.parser);
  return std::make_unique<ChatAnswerParser>(std::move(params));
}

}  // namespace tacit::engine
