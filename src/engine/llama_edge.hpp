// Shared by the files that touch llama.cpp; included by nobody else.
#pragma once

#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "domain/request.hpp"
#include "engine/scheduler.hpp"

#include "llama.h"

namespace tacit::engine {

struct RenderedChat;

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

// LlamaSampler is a chain of llama.cpp's samplers, or, where a grammar or a limit on reasoning
// takes part, the sampler of its common library.
class LlamaSampler : public Sampler {
 public:
  // Errors: internal (the grammar has no way on).
  virtual Result<Token> draw(llama_context* context, std::int32_t index) = 0;
};

// make_sampler builds logit biases, penalties, then top_k, typical, top_p, min_p, XTC, temperature
// and the draw, or mirostat. Temperature 0 takes the most likely token. `rendered` is null for a
// prompt without a template. Errors: invalid_argument (the schema or grammar is not understood, a
// bias for a token that there is not).
Result<std::unique_ptr<Sampler>> make_sampler(const domain::GenerateRequest& request,
                                              const llama_model* model,
                                              std::uint32_t context_tokens,
                                              const RenderedChat* rendered);

// Embedder makes embeddings with a context of its own.
class Embedder {
 public:
  // Errors: too_large (memory).
  static Result<std::unique_ptr<Embedder>> create(llama_model* model, std::uint32_t context_tokens,
                                                  std::uint32_t threads);
  virtual ~Embedder() = default;
  // The vector of a text, of length 1. At most `context_tokens` tokens. Errors: internal.
  virtual Result<std::vector<float>> embed(std::span<const Token> tokens) = 0;
  // From the next text on.
  virtual void use_threads(std::uint32_t threads) = 0;
};

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
