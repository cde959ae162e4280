#include <algorithm>
#include <cmath>

#include "engine/llama_edge.hpp"
#include "engine/model_limits.hpp"

namespace tacit::engine {
namespace {

constexpr std::uint32_t kPieceTokens = kEmbeddingBatchTokens;

// The model's own way of making one vector of many; the mean where it has none, as for a model that
// was made to write.
enum llama_pooling_type pooling_of(const llama_model* model) {
  char architecture[64] = {};
  char value[16] = {};
  if (llama_model_meta_val_str(model, "general.architecture", architecture, sizeof architecture) <=
      0)
    return LLAMA_POOLING_TYPE_MEAN;
  const auto key = std::string{architecture} + ".pooling_type";
  if (llama_model_meta_val_str(model, key.c_str(), value, sizeof value) <= 0)
    return LLAMA_POOLING_TYPE_MEAN;
  switch (value[0]) {
    case '2': return LLAMA_POOLING_TYPE_CLS;
    case '3': return LLAMA_POOLING_TYPE_LAST;
    default: return LLAMA_POOLING_TYPE_MEAN;
  }
}

// Every token's vector comes out of llama.cpp, and is pooled here: so a long text goes through in
// pieces, and the memory for a piece does not grow with the text.
class LlamaEmbedder final : public Embedder {
 public:
  LlamaEmbedder(LlamaContextPtr context, const llama_model* model)
      : context_{std::move(context)},
        pooling_{pooling_of(model)},
        size_{static_cast<std::size_t>(llama_model_n_embd_out(model))},
        batch_{llama_batch_init(static_cast<std::int32_t>(kPieceTokens), 0, 1)} {}
  ~LlamaEmbedder() override { llama_batch_free(batch_); }
  LlamaEmbedder(const LlamaEmbedder&) = delete;
  LlamaEmbedder& operator=(const LlamaEmbedder&) = delete;

  Result<std::vector<float>> embed(std::span<const Token> tokens) override {
    auto made = guarded("decoding failed", Code::internal, [&] { return sum(tokens); });
    llama_memory_clear(llama_get_memory(context_.get()), false);
    if (!made) return made;
    double length = 0;
    for (const auto value : *made)
      length += static_cast<double>(value) * static_cast<double>(value);
    if (!std::isfinite(length)) return fail(Code::internal, "decoding failed");
    const auto scale = length > 0 ? static_cast<float>(1 / std::sqrt(length)) : 0.0f;
    for (auto& value : *made) value *= scale;
    return made;
  }

  void use_threads(std::uint32_t threads) override {
    llama_set_n_threads(context_.get(), static_cast<std::int32_t>(threads),
                        static_cast<std::int32_t>(threads));
  }

 private:
  Result<std::vector<float>> sum(std::span<const Token> tokens) {
    std::vector<float> out(size_, 0.0f);
    for (std::size_t done = 0; done < tokens.size();) {
      const auto n = std::min<std::size_t>(kPieceTokens, tokens.size() - done);
      for (std::size_t i = 0; i < n; ++i) {
        batch_.token[i] = tokens[done + i];
        batch_.pos[i] = static_cast<llama_pos>(done + i);
        batch_.n_seq_id[i] = 1;
        batch_.seq_id[i][0] = 0;
        batch_.logits[i] = 1;
      }
      batch_.n_tokens = static_cast<std::int32_t>(n);
      if (llama_decode(context_.get(), batch_) != 0) return fail(Code::internal, "decoding failed");
      for (std::size_t i = 0; i < n; ++i) {
        const auto at = done + i;
        if (pooling_ == LLAMA_POOLING_TYPE_CLS && at != 0) continue;
        if (pooling_ == LLAMA_POOLING_TYPE_LAST && at + 1 != tokens.size()) continue;
        const auto* vector = llama_get_embeddings_ith(context_.get(), static_cast<std::int32_t>(i));
        if (vector == nullptr) return fail(Code::internal, "decoding failed");
        for (std::size_t k = 0; k < size_; ++k) out[k] += vector[k];
      }
      done += n;
    }
    return out;
  }

  LlamaContextPtr context_;
  enum llama_pooling_type pooling_;
  std::size_t size_;
  llama_batch batch_;
};

}  // namespace

Result<std::unique_ptr<Embedder>> Embedder::create(llama_model* model, std::uint32_t context_tokens,
                                                   std::uint32_t threads) {
  auto params = llama_context_default_params();
  params.n_ctx = context_tokens;
  params.n_batch = kPieceTokens;
  params.n_ubatch = kPieceTokens;
  params.n_seq_max = 1;
  params.n_threads = static_cast<std::int32_t>(threads);
  params.n_threads_batch = params.n_threads;
  params.embeddings = true;
  params.pooling_type = LLAMA_POOLING_TYPE_NONE;
  LlamaContextPtr context{llama_init_from_model(model, params)};
  if (!context) {
    return fail(Error{Code::too_large, "not enough memory for the model's context"}.with(
        "tokens", context_tokens));
  }
  return std::make_unique<LlamaEmbedder>(std::move(context), model);
}

}  // namespace tacit::engine
