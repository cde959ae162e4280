#include <algorithm>
#include <limits>
#include <utility>

#include "core/secret.hpp"
#include "core/text.hpp"
#include "engine/fence.hpp"
#include "engine/llama_chat.hpp"
#include "engine/llama_edge.hpp"

#include "chat.h"
#include "common.h"

namespace tacit::engine {
namespace {

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
      : model_{model},
        vocab_{llama_model_get_vocab(model)},
        context_tokens_{context_tokens},
        templates_{load_templates(model)} {
    find_control_texts();
    probe_template();
    learn_shape();
    find_longest_token();
  }

  const std::vector<llama_token>& visible_tokens() const noexcept override { return visible_; }

  Result<Prompt> prepare(domain::GenerateRequest request) override {
    if (request.tokens) return prepare_tokens(std::move(request));
    if (request.text) return prepare_text(std::move(request));
    return prepare_chat(std::move(request));
  }

 private:
  Result<Prompt> prepare_chat(domain::GenerateRequest request) {
    // Every message is at least one token: no need to render what cannot fit.
    if (request.purpose == domain::Purpose::generate && request.messages.size() > context_tokens_)
      return too_long(request.messages.size());
    if (request.messages.empty()) return fail(Code::invalid_argument, "prompt is empty");
    Fence fence{control_texts_};
    const bool plain =
        request.tools.empty() && request.constraint.kind == domain::Constraint::Kind::none;
    const Literal refused =
        plain ? Literal{"the model's chat template refused the conversation"}
              : Literal{"the chat template or the schema of a tool or format is not understood"};
    TACIT_TRY(auto rendered,
              guarded(refused, Code::invalid_argument, [&]() -> Result<RenderedChat> {
                const Conversation conversation{request, fence};
                return shape_.render(templates_.get(), conversation.inputs);
              }));
    if (request.purpose == domain::Purpose::render) {
      Prompt prompt;
      prompt.purpose = request.purpose;
      for (const auto& piece : fence.split(rendered.prompt)) prompt.text.append(piece.text);
      wipe_text(rendered.prompt);
      return prompt;
    }
    auto prompt = guarded("tokenizing failed", Code::internal, [&] {
      return tokenize(fence.split(rendered.prompt), rendered.prompt.size(), true, true,
                      request.purpose);
    });
    wipe_text(rendered.prompt);
    if (!prompt) return prompt;
    return complete(*std::move(prompt), std::move(request), &rendered);
  }

  Result<Prompt> prepare_text(domain::GenerateRequest request) {
    auto text = std::exchange(request.text, std::nullopt);
    if (request.purpose == domain::Purpose::render) {
      Prompt prompt;
      prompt.purpose = request.purpose;
      prompt.text = *std::move(text);
      return prompt;
    }
    auto prompt = guarded("tokenizing failed", Code::internal, [&] {
      return tokenize({{text->reveal(), request.text_has_special}}, text->size(),
                      request.add_start_token, request.text_has_special, request.purpose);
    });
    if (!prompt) return prompt;
    return complete(*std::move(prompt), std::move(request), nullptr);
  }

  Result<Prompt> prepare_tokens(domain::GenerateRequest request) {
    Prompt prompt;
    prompt.tokens = *std::exchange(request.tokens, std::nullopt);
    for (const auto token : prompt.tokens) {
      if (token < 0 || token >= llama_vocab_n_tokens(vocab_))
        return fail(Code::invalid_argument, "prompt has a token that the model does not know");
    }
    if (request.purpose == domain::Purpose::render) {
      auto text = guarded("tokenizing failed", Code::internal, [&]() -> Result<std::string> {
        return common_detokenize(vocab_, prompt.tokens, true);
      });
      if (!text) return fail(std::move(text).error());
      prompt.text = domain::Content{*text};
      wipe_text(*text);
      wipe_tokens(prompt);
      prompt.purpose = request.purpose;
      return prompt;
    }
    if (request.purpose == domain::Purpose::generate && prompt.tokens.size() > context_tokens_) {
      const auto n = prompt.tokens.size();
      wipe_tokens(prompt);
      return too_long(n);
    }
    return complete(std::move(prompt), std::move(request), nullptr);
  }

  // Everything but the tokens. `rendered` is null for a prompt without a template.
  Result<Prompt> complete(Prompt prompt, domain::GenerateRequest request,
                          const RenderedChat* rendered) {
    prompt.purpose = request.purpose;
    if (request.purpose != domain::Purpose::generate) return prompt;
    if (prompt.tokens.empty()) return fail(Code::invalid_argument, "prompt is empty");
    prompt.max_tokens = request.max_tokens;
    prompt.logprobs = request.logprobs;
    prompt.cache_salt = request.cache_salt;
    prompt.tenant_weight = request.tenant_weight;
    prompt.num_stops = static_cast<std::uint32_t>(request.stop.size());
    const bool with_tools =
        !request.tools.empty() && request.tool_choice.use != domain::ToolUse::none;
    const bool schema_after_thinking =
        request.constraint.kind == domain::Constraint::Kind::json_schema && rendered != nullptr &&
        !rendered->thinking_start_tag.empty();
    const bool parses = rendered != nullptr &&
                        (with_tools || request.continue_last || !plain_ || schema_after_thinking);
    if (parses) {
      prompt.rules.stops = std::move(request.stop);
      for (const auto& stop : rendered->additional_stops)
        if (!stop.empty()) prompt.rules.stops.emplace_back(stop);
      TACIT_TRY(prompt.parser,
                guarded("the model's chat template refused the conversation",
                        Code::invalid_argument, [&]() -> Result<std::unique_ptr<AnswerParser>> {
                          return make_answer_parser(*rendered, with_tools, request.continue_last);
                        }));
    } else if (rendered != nullptr) {
      prompt.rules = rules_of(*rendered, std::move(request.stop));
    } else {
      prompt.rules.stops = std::move(request.stop);
    }
    TACIT_TRY(prompt.sampler, make_sampler(request, model_, context_tokens_, rendered));
    return prompt;
  }

  static void wipe_tokens(Prompt& prompt) noexcept {
    wipe(std::as_writable_bytes(std::span{prompt.tokens}));
    prompt.tokens.clear();
  }

  Result<Prompt> tokenize(const std::vector<Fence::Piece>& pieces, std::size_t bytes,
                          bool add_start, bool with_special, domain::Purpose purpose) const {
    // A text can be so long that no tokenising would make it fit; that is not worth seconds of
    // work.
    constexpr std::size_t kWorthKnowingExactly = 1024 * 1024;
    constexpr std::size_t kWorthTokenizing = 8 * 1024 * 1024;
    const bool must_fit = purpose == domain::Purpose::generate;
    const auto least = bytes / longest_token_;
    if (must_fit && bytes > kWorthKnowingExactly && least > context_tokens_) return too_long(least);
    if (bytes > kWorthTokenizing) {
      return fail(Error{Code::too_large, "text is too long to be tokenized"}
                      .with("bytes", static_cast<std::int64_t>(bytes))
                      .with("limit", static_cast<std::int64_t>(kWorthTokenizing)));
    }
    Prompt prompt;
    if (must_fit && pieces.size() > context_tokens_) return too_long(pieces.size());
    bool first = add_start;
    for (const auto& piece : pieces) {
      std::string part{piece.text};
      auto tokens = common_tokenize(vocab_, part, first, with_special && piece.by_template);
      first = false;
      prompt.tokens.insert(prompt.tokens.end(), tokens.begin(), tokens.end());
      wipe(std::as_writable_bytes(std::span{tokens}));
      wipe_text(part);
    }
    if (must_fit && prompt.tokens.size() > context_tokens_) {
      const auto n = prompt.tokens.size();
      wipe_tokens(prompt);
      return too_long(n);
    }
    return prompt;
  }

  std::unexpected<Error> too_long(std::size_t tokens) const {
    return fail(Error{Code::context_exceeded, "prompt does not fit the model's context"}
                    .with("tokens", static_cast<std::int64_t>(tokens))
                    .with("limit", context_tokens_));
  }

  static TextRules rules_of(const RenderedChat& rendered, std::vector<domain::Content> stops) {
    TextRules rules;
    rules.stops = std::move(stops);
    for (const auto& stop : rendered.additional_stops)
      if (!stop.empty()) rules.stops.emplace_back(stop);
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

  // Renders harmless conversations to learn which special tokens the template's formats use, and
  // whether plain answers need a parser.
  void probe_template() {
    for (const bool with_tools : {false, true}) {
      try {
        domain::GenerateRequest probe;
        probe.messages.push_back({domain::Role::user, domain::Content{"hello"}});
        if (with_tools) {
          probe.tools.push_back({"look", domain::Content{"Looks."},
                                 domain::Content{R"({"type":"object","properties":{}})"}});
        }
        Fence fence{control_texts_};
        const Conversation conversation{probe, fence};
        const auto rendered = render_chat(templates_.get(), conversation.inputs);
        if (!with_tools) plain_ = answers_plainly(rendered);
        show_tokens(rendered);
      } catch (const std::exception&) {
        continue;  // a template that refuses the probe simply shows none
      }
    }
  }

  void learn_shape() {
    if (!plain_) return;
    try {
      shape_.learn(templates_.get());
    } catch (const std::exception&) {
      shape_ = {};  // a template that refuses one of the probes is analysed each time
    }
  }

  void show_tokens(const RenderedChat& rendered) {
    auto texts = rendered.preserved_tokens;
    texts.push_back(rendered.thinking_start_tag);
    texts.insert(texts.end(), rendered.thinking_end_tags.begin(), rendered.thinking_end_tags.end());
    for (const auto& text : texts) {
      if (text.empty()) continue;
      const auto tokens = common_tokenize(vocab_, text, false, true);
      if (tokens.size() == 1) visible_.push_back(tokens.front());
    }
  }

  // Whether an answer without tools is plain text with the reasoning between two tags, which needs
  // no parser: the library's must say the same about a few answers.
  static bool answers_plainly(const RenderedChat& rendered) {
    std::vector<std::string> answers{"Hello, world.", " Hello\n\n```json\n{\"a\": [1]}\n```\n"};
    if (!rendered.thinking_start_tag.empty() && !rendered.thinking_end_tags.empty()) {
      answers.push_back(rendered.thinking_start_tag + "hm" + rendered.thinking_end_tags.front() +
                        "Hello");
    }
    for (const auto& answer : answers) {
      const auto parser = make_answer_parser(rendered, false, false);
      std::vector<domain::Event> parsed;
      parser->feed(answer, parsed);
      parser->finish(false, parsed);
      TextAssembler text{rules_of(rendered, {})};
      text.feed(answer);
      text.finish();
      std::vector<domain::Event> plain;
      while (text.has_ready()) plain.push_back(text.take_ready(4096));
      if (said(parsed) != said(plain)) return false;
    }
    return true;
  }
  // The answer's text and its reasoning, without space around them.
  static std::pair<std::string, std::string> said(const std::vector<domain::Event>& events) {
    std::pair<std::string, std::string> out;
    for (const auto& event : events) {
      if (const auto* text = std::get_if<domain::TextDelta>(&event))
        out.first += text->text.reveal();
      if (const auto* reasoning = std::get_if<domain::ReasoningDelta>(&event))
        out.second += reasoning->text.reveal();
    }
    out.first = trim_ascii(out.first);
    out.second = trim_ascii(out.second);
    return out;
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

  const llama_model* model_;
  const llama_vocab* vocab_;
  std::uint32_t context_tokens_;
  common_chat_templates_ptr templates_;
  ControlTexts control_texts_;
  TemplateShape shape_;
  std::vector<llama_token> visible_;
  std::size_t longest_token_ = 1;
  bool plain_ = true;
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
