#include <algorithm>
#include <limits>

#include "core/secret.hpp"
#include "engine/fence.hpp"
#include "engine/llama_edge.hpp"

#include "chat.h"
#include "common.h"

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

void wipe_text(std::string& text) noexcept {
  wipe(std::as_writable_bytes(std::span{text}));
  text.clear();
}

// What the template library gets, wiped at the end. (Copies that it makes itself are beyond our
// reach; the process has no core dumps and lends its memory to nobody.)
struct Conversation {
  Conversation(const domain::GenerateRequest& request, Fence& fence) {
    for (const auto& message : request.messages) fence.see(message.content.reveal());
    fence.choose_mark();
    inputs.use_jinja = true;
    inputs.add_generation_prompt = true;
    inputs.reasoning_format = COMMON_REASONING_FORMAT_AUTO;
    inputs.messages.reserve(request.messages.size());
    for (const auto& message : request.messages) {
      auto& out = inputs.messages.emplace_back();
      out.role = role_name(message.role);
      out.content = fence.shield(message.content.reveal());
    }
  }
  ~Conversation() {
    for (auto& message : inputs.messages) wipe_text(message.content);
  }
  Conversation(const Conversation&) = delete;
  Conversation& operator=(const Conversation&) = delete;
  common_chat_templates_inputs inputs;
};

common_chat_templates_ptr load_templates(const llama_model* model) {
  try {
    return common_chat_templates_init(model, "");
  } catch (const std::exception&) {
    return common_chat_templates_init(model, "chatml");  // the model's own does not parse
  }
}

class Maker final : public PromptMaker {
 public:
  Maker(const llama_model* model, std::uint32_t context_tokens)
      : vocab_{llama_model_get_vocab(model)},
        context_tokens_{context_tokens},
        templates_{load_templates(model)} {
    find_control_texts();
    find_visible_tokens();
    find_longest_token();
  }

  const std::vector<llama_token>& visible_tokens() const noexcept override { return visible_; }

  Result<Prompt> prepare(domain::GenerateRequest request) override {
    // Every message is at least one token: no need to render what cannot fit.
    if (request.messages.size() > context_tokens_) return too_long(request.messages.size());
    Fence fence{control_texts_};
    TACIT_TRY(auto rendered, guarded("the model's chat template refused the conversation",
                                     Code::invalid_argument, [&]() -> Result<common_chat_params> {
                                       const Conversation conversation{request, fence};
                                       return common_chat_templates_apply(templates_.get(),
                                                                          conversation.inputs);
                                     }));
    auto prompt = guarded("tokenizing failed", Code::internal,
                          [&] { return tokenize(rendered.prompt, fence); });
    wipe_text(rendered.prompt);
    if (!prompt) return prompt;
    prompt->max_tokens = request.max_tokens;
    prompt->rules = rules_of(rendered, std::move(request.stop));
    prompt->sampler = make_sampler(request.sampling, vocab_, context_tokens_);
    return prompt;
  }

 private:
  Result<Prompt> tokenize(const std::string& text, const Fence& fence) const {
    // A text can be so long that no tokenising would make it fit; that is not worth seconds of
    // work.
    constexpr std::size_t kWorthKnowingExactly = 1024 * 1024;
    const auto least = text.size() / longest_token_;
    if (text.size() > kWorthKnowingExactly && least > context_tokens_) return too_long(least);
    Prompt prompt;
    const auto pieces = fence.split(text);
    if (pieces.size() > context_tokens_) return too_long(pieces.size());
    for (const auto& piece : pieces) {
      std::string part{piece.text};
      const bool first = prompt.tokens.empty();
      auto tokens = common_tokenize(vocab_, part, /*add_special=*/first, piece.by_template);
      prompt.tokens.insert(prompt.tokens.end(), tokens.begin(), tokens.end());
      wipe(std::as_writable_bytes(std::span{tokens}));
      wipe_text(part);
    }
    if (prompt.tokens.empty()) return fail(Code::invalid_argument, "prompt is empty");
    if (prompt.tokens.size() > context_tokens_) {
      const auto n = prompt.tokens.size();
      wipe(std::as_writable_bytes(std::span{prompt.tokens}));
      return too_long(n);
    }
    return prompt;
  }

  std::unexpected<Error> too_long(std::size_t tokens) const {
    return fail(Error{Code::context_exceeded, "prompt does not fit the model's context"}
                    .with("tokens", static_cast<std::int64_t>(tokens))
                    .with("limit", context_tokens_));
  }

  static TextRules rules_of(const common_chat_params& rendered,
                            std::vector<domain::Content> stops) {
    TextRules rules;
    rules.stops = std::move(stops);
    for (const auto& stop : rendered.additional_stops) rules.stops.emplace_back(stop);
    if (rendered.thinking_start_tag.empty() || rendered.thinking_end_tags.empty()) return rules;
    rules.reasoning_start = rendered.thinking_start_tag;
    rules.reasoning_ends = rendered.thinking_end_tags;
    // Open when the last start tag in what the template adds for the answer has no end tag after
    // it.
    const auto start = rendered.generation_prompt.rfind(rules.reasoning_start);
    rules.starts_in_reasoning =
        start != std::string::npos &&
        std::ranges::none_of(rules.reasoning_ends, [&](const auto& end) {
          return rendered.generation_prompt.find(end, start) != std::string::npos;
        });
    return rules;
  }

  // Renders a harmless conversation to learn which special tokens the template's formats use.
  void find_visible_tokens() {
    try {
      domain::GenerateRequest probe;
      probe.messages.push_back({domain::Role::user, domain::Content{"hello"}});
      Fence fence{control_texts_};
      const Conversation conversation{probe, fence};
      const auto rendered = common_chat_templates_apply(templates_.get(), conversation.inputs);
      auto texts = rendered.preserved_tokens;
      texts.push_back(rendered.thinking_start_tag);
      texts.insert(texts.end(), rendered.thinking_end_tags.begin(),
                   rendered.thinking_end_tags.end());
      for (const auto& text : texts) {
        if (text.empty()) continue;
        const auto tokens = common_tokenize(vocab_, text, false, true);
        if (tokens.size() == 1) visible_.push_back(tokens.front());
      }
    } catch (const std::exception&) {
      // A template that refuses the probe simply shows none.
      visible_.clear();
    }
  }

  // The texts that tokenizing with control tokens would take for one.
  void find_control_texts() {
    for (llama_token token = 0; token < llama_vocab_n_tokens(vocab_); ++token) {
      const auto kind = llama_vocab_get_attr(vocab_, token);
      if ((kind & (LLAMA_TOKEN_ATTR_CONTROL | LLAMA_TOKEN_ATTR_UNKNOWN)) == 0) continue;
      const auto* text = llama_vocab_get_text(vocab_, token);
      if (text != nullptr) control_texts_.add(text);
    }
  }

  void find_longest_token() {
    for (llama_token token = 0; token < llama_vocab_n_tokens(vocab_); ++token) {
      const auto* text = llama_vocab_get_text(vocab_, token);
      if (text != nullptr) longest_token_ = std::max(longest_token_, std::string_view{text}.size());
    }
  }

  const llama_vocab* vocab_;
  std::uint32_t context_tokens_;
  common_chat_templates_ptr templates_;
  ControlTexts control_texts_;
  std::vector<llama_token> visible_;
  std::size_t longest_token_ = 1;
};

}  // namespace

Result<std::unique_ptr<PromptMaker>> PromptMaker::create(const llama_model* model,
                                                         std::uint32_t context_tokens) {
  return guarded("model metadata is invalid", Code::malformed,
                 [&]() -> Result<std::unique_ptr<PromptMaker>> {
                   return std::make_unique<Maker>(model, context_tokens);
                 });
}

}  // namespace tacit::engine
