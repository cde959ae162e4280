#include <algorithm>
#include <random>
#include <utility>

#include "engine/llama_chat.hpp"
#include "engine/llama_edge.hpp"

#include "common.h"
#include "json-schema-to-grammar.h"
#include "sampling.h"

namespace tacit::engine {
namespace {

constexpr float kTemperature = 0.8f;
constexpr float kTopP = 0.95f;
constexpr float kMinP = 0.05f;
constexpr std::int32_t kTopK = 40;
constexpr std::int32_t kDryLastN = 1024;
// A grammar is parsed by recursion: its brackets are counted before.
constexpr std::size_t kGrammarDepthMax = 200;

class ChainSampler final : public LlamaSampler {
 public:
  explicit ChainSampler(LlamaSamplerPtr chain) : chain_{std::move(chain)} {}
  Result<Token> draw(llama_context* context, std::int32_t index) override {
    return llama_sampler_sample(chain_.get(), context, index);
  }

 private:
  LlamaSamplerPtr chain_;
};

class GrammarSampler final : public LlamaSampler {
 public:
  explicit GrammarSampler(common_sampler_ptr sampler) : sampler_{std::move(sampler)} {}
  Result<Token> draw(llama_context* context, std::int32_t index) override {
    return guarded("sampling failed", Code::internal, [&]() -> Result<Token> {
      const auto token = common_sampler_sample(sampler_.get(), context, index);
      common_sampler_accept(sampler_.get(), token, true);
      return token;
    });
  }

 private:
  common_sampler_ptr sampler_;
};

// Penalties, filters and temperature as llama.cpp names them.
common_params_sampling params_of(const domain::Sampling& s, std::uint32_t context_tokens) {
  common_params_sampling params;
  params.no_perf = true;
  params.seed = s.seed ? *s.seed : std::random_device{}();
  params.temp = s.temperature.value_or(kTemperature);
  params.top_k = s.top_k.value_or(kTopK);
  params.top_p = s.top_p.value_or(kTopP);
  params.min_p = s.min_p.value_or(kMinP);
  params.typ_p = s.typical_p.value_or(1.0f);
  params.penalty_freq = s.frequency_penalty.value_or(0.0f);
  params.penalty_present = s.presence_penalty.value_or(0.0f);
  params.penalty_repeat = s.repeat_penalty.value_or(1.0f);
  const auto all = static_cast<std::int32_t>(context_tokens);
  const auto last = [all](std::int32_t n) { return n < 0 ? all : std::min(n, all); };
  params.penalty_last_n = last(s.repeat_last_n.value_or(-1));
  params.dry_multiplier = s.dry_multiplier.value_or(0.0f);
  params.dry_base = s.dry_base.value_or(1.75f);
  params.dry_allowed_length = s.dry_allowed_length.value_or(2);
  params.dry_penalty_last_n = last(s.dry_penalty_last_n.value_or(kDryLastN));
  params.xtc_probability = s.xtc_probability.value_or(0.0f);
  params.xtc_threshold = s.xtc_threshold.value_or(0.1f);
  params.mirostat = s.mirostat.value_or(0);
  params.mirostat_tau = s.mirostat_tau.value_or(5.0f);
  params.mirostat_eta = s.mirostat_eta.value_or(0.1f);
  return params;
}

bool same(float a, float b) noexcept { return !(a < b) && !(a > b); }

// The chain, with only what does something.
LlamaSamplerPtr chain_of(const common_params_sampling& params, const llama_vocab* vocab) {
  auto chain_params = llama_sampler_chain_default_params();
  chain_params.no_perf = true;
  LlamaSamplerPtr chain{llama_sampler_chain_init(chain_params)};
  const auto add = [&chain](llama_sampler* sampler) {
    llama_sampler_chain_add(chain.get(), sampler);
  };
  const auto num_tokens = llama_vocab_n_tokens(vocab);
  if (!params.logit_bias.empty()) {
    add(llama_sampler_init_logit_bias(
        num_tokens, static_cast<std::int32_t>(params.logit_bias.size()), params.logit_bias.data()));
  }
  if (!same(params.penalty_freq, 0) || !same(params.penalty_present, 0) ||
      !same(params.penalty_repeat, 1)) {
    add(llama_sampler_init_penalties(num_tokens, params.penalty_last_n, params.penalty_repeat,
                                     params.penalty_freq, params.penalty_present));
  }
  if (params.dry_multiplier > 0) {
    std::vector<const char*> breakers;
    for (const auto& breaker : params.dry_sequence_breakers) breakers.push_back(breaker.c_str());
    add(llama_sampler_init_dry(vocab, params.dry_multiplier, params.dry_base,
                               params.dry_allowed_length, params.dry_penalty_last_n,
                               breakers.data(), breakers.size()));
  }
  if (params.temp <= 0.0f) {
    add(llama_sampler_init_greedy());
    return chain;
  }
  if (params.mirostat != 0) {
    add(llama_sampler_init_temp(params.temp));
    add(params.mirostat == 1
            ? llama_sampler_init_mirostat(num_tokens, params.seed, params.mirostat_tau,
                                          params.mirostat_eta, 100)
            : llama_sampler_init_mirostat_v2(params.seed, params.mirostat_tau,
                                             params.mirostat_eta));
    return chain;
  }
  if (params.top_k > 0) add(llama_sampler_init_top_k(params.top_k));
  if (params.typ_p < 1.0f) add(llama_sampler_init_typical(params.typ_p, 1));
  add(llama_sampler_init_top_p(params.top_p, 1));
  add(llama_sampler_init_min_p(params.min_p, 1));
  if (params.xtc_probability > 0) {
    add(llama_sampler_init_xtc(params.xtc_probability, params.xtc_threshold, 1, params.seed));
  }
  add(llama_sampler_init_temp(params.temp));
  add(llama_sampler_init_dist(params.seed));
  return chain;
}

Result<void> add_biases(const domain::GenerateRequest& request, const llama_vocab* vocab,
                        common_params_sampling& params) {
  const auto num_tokens = llama_vocab_n_tokens(vocab);
  for (const auto& each : request.logit_bias) {
    if (each.token < 0 || each.token >= num_tokens)
      return fail(Code::invalid_argument, "logit bias for a token that the model does not know");
    params.logit_bias.push_back({each.token, each.bias <= -100.0f ? -INFINITY : each.bias});
  }
  if (!request.ignore_end) return {};
  for (llama_token token = 0; token < num_tokens; ++token) {
    if (llama_vocab_is_eog(vocab, token)) params.logit_bias.push_back({token, -INFINITY});
  }
  return {};
}

// Refuses what llama.cpp would end the process for.
Result<void> check_grammar(std::string_view grammar) {
  if (grammar.starts_with("%llguidance"))
    return fail(Code::invalid_argument, "grammar is not understood");
  std::size_t depth = 0;
  for (const char c : grammar) {
    if (c == '(' && ++depth > kGrammarDepthMax)
      return fail(Code::invalid_argument, "grammar is nested too deeply");
    if (c == ')' && depth > 0) --depth;
  }
  return {};
}

void add_triggers(const RenderedChat& rendered, const llama_vocab* vocab,
                  common_params_sampling& params) {
  params.grammar_lazy = rendered.grammar_lazy;
  for (const auto& trigger : rendered.grammar_triggers) {
    if (trigger.type != COMMON_GRAMMAR_TRIGGER_TYPE_WORD) {
      params.grammar_triggers.push_back(trigger);
      continue;
    }
    const auto tokens = common_tokenize(vocab, trigger.value, false, true);
    auto& added = params.grammar_triggers.emplace_back(trigger);
    if (tokens.size() != 1) continue;
    added.type = COMMON_GRAMMAR_TRIGGER_TYPE_TOKEN;
    added.token = tokens.front();
  }
}

// Ends reasoning after the caller's number of tokens.
void add_reasoning_limit(const domain::GenerateRequest& request, const llama_vocab* vocab,
                         const RenderedChat& rendered, common_params_sampling& params) {
  if (rendered.thinking_start_tag.empty() || rendered.thinking_end_tags.empty()) return;
  params.reasoning_budget_start = common_tokenize(vocab, rendered.thinking_start_tag, false, true);
  for (const auto& tag : rendered.thinking_end_tags)
    params.reasoning_budget_end.push_back(common_tokenize(vocab, tag, false, true));
  params.reasoning_budget_forced = params.reasoning_budget_end.front();
  if (request.reasoning.tokens_max) {
    params.reasoning_budget_tokens =
        static_cast<std::int32_t>(std::min(*request.reasoning.tokens_max, 1u << 30));
  }
}

// Puts the request's constraint into `params`; a tool's or a schema's comes with the template.
Result<void> add_constraint(const domain::GenerateRequest& request, const llama_vocab* vocab,
                            const RenderedChat* rendered, common_params_sampling& params) {
  using Kind = domain::Constraint::Kind;
  const auto kind = request.constraint.kind;
  const std::string text{request.constraint.text.reveal()};
  if (kind == Kind::grammar) {
    TACIT_CHECK(check_grammar(text));
    params.grammar = {COMMON_GRAMMAR_TYPE_USER, text};
    return {};
  }
  // The library's grammar for a schema also takes JSON in a code fence, which is no JSON; it is
  // needed only where the model thinks first.
  const bool thinks = rendered != nullptr && !rendered->thinking_start_tag.empty();
  if (kind == Kind::json_schema && !thinks) {
    TACIT_TRY(auto grammar, guarded("the JSON schema is not understood", Code::invalid_argument,
                                    [&]() -> Result<std::string> {
                                      return json_schema_to_grammar(common_json::parse(text));
                                    }));
    params.grammar = {COMMON_GRAMMAR_TYPE_USER, std::move(grammar)};
  } else if (rendered != nullptr && !rendered->grammar.empty()) {
    params.grammar = {rendered->grammar_begins_with_answer ? COMMON_GRAMMAR_TYPE_USER
                                                           : COMMON_GRAMMAR_TYPE_TOOL_CALLS,
                      rendered->grammar};
    params.generation_prompt = rendered->generation_prompt;
    add_triggers(*rendered, vocab, params);
  }
  if (!params.grammar.empty()) TACIT_CHECK(check_grammar(params.grammar.grammar));
  return {};
}

}  // namespace

Result<std::unique_ptr<Sampler>> make_sampler(const domain::GenerateRequest& request,
                                              const llama_model* model,
                                              std::uint32_t context_tokens,
                                              const RenderedChat* rendered) {
  const auto* vocab = llama_model_get_vocab(model);
  auto params = params_of(request.sampling, context_tokens);
  TACIT_CHECK(add_biases(request, vocab, params));
  TACIT_CHECK(add_constraint(request, vocab, rendered, params));
  const bool limits_reasoning = rendered != nullptr && request.reasoning.tokens_max.has_value();
  if (params.grammar.empty() && !limits_reasoning) {
    return std::make_unique<ChainSampler>(chain_of(params, vocab));
  }
  if (rendered != nullptr) {
    if (params.generation_prompt.empty() && limits_reasoning && params.grammar.empty())
      params.generation_prompt = rendered->generation_prompt;
    add_reasoning_limit(request, vocab, *rendered, params);
  }
  return guarded("the schema or grammar is not understood", Code::invalid_argument,
                 [&]() -> Result<std::unique_ptr<Sampler>> {
                   common_sampler_ptr made{common_sampler_init(model, params)};
                   if (!made)
                     return fail(Code::invalid_argument, "the schema or grammar is not understood");
                   return std::make_unique<GrammarSampler>(std::move(made));
                 });
}

}  // namespace tacit::engine
