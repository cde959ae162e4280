#include <random>

#include "engine/llama_edge.hpp"

namespace tacit::engine {
namespace {

constexpr float kTemperature = 0.8f;
constexpr float kTopP = 0.95f;
constexpr float kMinP = 0.05f;
constexpr std::int32_t kTopK = 40;

}  // namespace

std::unique_ptr<Sampler> make_sampler(const domain::Sampling& sampling, const llama_vocab* vocab,
                                      std::uint32_t context_tokens) {
  auto params = llama_sampler_chain_default_params();
  params.no_perf = true;
  LlamaSamplerPtr chain{llama_sampler_chain_init(params)};
  const auto add = [&chain](llama_sampler* sampler) {
    llama_sampler_chain_add(chain.get(), sampler);
  };
  const auto temperature = sampling.temperature.value_or(kTemperature);
  const auto top_k = sampling.top_k.value_or(kTopK);
  const auto frequency = sampling.frequency_penalty.value_or(0.0f);
  const auto presence = sampling.presence_penalty.value_or(0.0f);
  if (frequency != 0.0f || presence != 0.0f) {
    add(llama_sampler_init_penalties(llama_vocab_n_tokens(vocab),
                                     static_cast<std::int32_t>(context_tokens), 1.0f, frequency,
                                     presence));
  }
  if (temperature <= 0.0f) {
    add(llama_sampler_init_greedy());
  } else {
    if (top_k > 0) add(llama_sampler_init_top_k(top_k));
    add(llama_sampler_init_top_p(sampling.top_p.value_or(kTopP), 1));
    add(llama_sampler_init_min_p(sampling.min_p.value_or(kMinP), 1));
    add(llama_sampler_init_temp(temperature));
    add(llama_sampler_init_dist(sampling.seed ? *sampling.seed : std::random_device{}()));
  }
  return std::make_unique<LlamaSampler>(std::move(chain));
}

}  // namespace tacit::engine
