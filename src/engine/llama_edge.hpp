// Shared by the files that touch llama.cpp; included by nobody else.
#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "domain/request.hpp"
#include "engine/scheduler.hpp"

#include "llama.h"

namespace tacit::engine {

// guarded runs code of a third party, and turns what it throws into `otherwise`. The exception's
// text may hold content or text of a model file, so it is dropped.
template <class Body> auto guarded(Literal otherwise, Code code, Body&& body) -> decltype(body()) {
  try {
    return body();
  } catch (const std::bad_alloc&) {
    return fail(Code::too_large, "out of memory in the engine worker");
  } catch (const std::exception&) {
    return fail(code, otherwise);
  }
}

template <class T, void (*free)(T*)> struct LlamaFree {
  void operator()(T* object) const noexcept { free(object); }
};
using LlamaModelPtr = std::unique_ptr<llama_model, LlamaFree<llama_model, llama_model_free>>;
using LlamaContextPtr = std::unique_ptr<llama_context, LlamaFree<llama_context, llama_free>>;
using LlamaSamplerPtr =
    std::unique_ptr<llama_sampler, LlamaFree<llama_sampler, llama_sampler_free>>;

class LlamaSampler final : public Sampler {
 public:
  explicit LlamaSampler(LlamaSamplerPtr chain) : chain_{std::move(chain)} {}
  llama_sampler* chain() const noexcept { return chain_.get(); }

 private:
  LlamaSamplerPtr chain_;
};

// make_sampler builds the chain: penalties, then top_k, top_p, min_p, temperature, then the draw.
// Temperature 0 takes the most likely token.
std::unique_ptr<Sampler> make_sampler(const domain::Sampling& sampling, const llama_vocab* vocab,
                                      std::uint32_t context_tokens);

// PromptMaker renders requests with one model's chat template.
class PromptMaker {
 public:
  // Errors: unsupported never: a model without a template, or with a broken one, gets ChatML.
  static Result<std::unique_ptr<PromptMaker>> create(const llama_model* model,
                                                     std::uint32_t context_tokens);
  virtual ~PromptMaker() = default;
  virtual Result<Prompt> prepare(domain::GenerateRequest request) = 0;
  // Special tokens that are to be shown as text, because the template's formats are made of them.
  virtual const std::vector<llama_token>& visible_tokens() const noexcept = 0;
};

}  // namespace tacit::engine
