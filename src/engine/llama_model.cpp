#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <functional>
#include <limits>
#include <numeric>
#include <optional>

#include "engine/engine.hpp"
#include "engine/llama_edge.hpp"
#include "engine/load_error.hpp"
#include "engine/memory_plan.hpp"
#include "engine/model.hpp"
#include "engine/model_limits.hpp"
#include "engine/protocol.hpp"
#include "engine/thread_tuner.hpp"
#include "formats/gguf.hpp"

#include "common.h"
#include "ggml-cpu.h"
#include "log.h"

namespace tacit::engine {
namespace {

// Where llama.cpp's complaints go during a load: the first that says something is kept, as an error
// of ours. Everything else it prints is dropped.
std::optional<Error>* load_complaint = nullptr;  // set and read by the loading thread only

void on_log(ggml_log_level level, const char* text, void*) {
  if (load_complaint == nullptr || level < GGML_LOG_LEVEL_WARN || level == GGML_LOG_LEVEL_CONT)
    return;
  if (!*load_complaint) *load_complaint = classify_load_message(text);
}

class Complaints {
 public:
  Complaints() { load_complaint = &first_; }
  ~Complaints() { load_complaint = nullptr; }
  Complaints(const Complaints&) = delete;
  Complaints& operator=(const Complaints&) = delete;
  Error or_else(Error otherwise) { return first_ ? std::move(*first_) : std::move(otherwise); }

 private:
  std::optional<Error> first_;
};

using ThreadPoolPtr =
    std::unique_ptr<ggml_threadpool, LlamaFree<ggml_threadpool, ggml_threadpool_free>>;
using FilePtr = std::unique_ptr<std::FILE, int (*)(std::FILE*)>;

// A batch of llama.cpp, owned.
class Batch {
 public:
  explicit Batch(std::int32_t tokens_max) : batch_{llama_batch_init(tokens_max, 0, 1)} {}
  ~Batch() { llama_batch_free(batch_); }
  Batch(const Batch&) = delete;
  Batch& operator=(const Batch&) = delete;
  const llama_batch& fill(std::span<const BatchEntry> entries) {
    batch_.n_tokens = static_cast<std::int32_t>(entries.size());
    for (std::size_t i = 0; i < entries.size(); ++i) {
      batch_.token[i] = entries[i].token;
      batch_.pos[i] = static_cast<llama_pos>(entries[i].position);
      batch_.n_seq_id[i] = 1;
      batch_.seq_id[i][0] = static_cast<llama_seq_id>(entries[i].slot);
      batch_.logits[i] = entries[i].sample ? 1 : 0;
    }
    return batch_;
  }

 private:
  llama_batch batch_;
};

double seconds_since(std::chrono::steady_clock::time_point begun) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
}

ggml_type ggml_type_of(KvType type) noexcept {
  switch (type) {
    case KvType::f16: return GGML_TYPE_F16;
    case KvType::q8_0: return GGML_TYPE_Q8_0;
    case KvType::q4_0: return GGML_TYPE_Q4_0;
  }
  return GGML_TYPE_F16;
}

class LlamaModel final : public Model {
 public:
  LlamaModel(FilePtr file, LlamaModelPtr model, const ModelOptions& options)
      : file_{std::move(file)},
        model_{std::move(model)},
        vocab_{llama_model_get_vocab(model_.get())} {
    context_tokens_ =
        std::min(options.context_tokens,
                 static_cast<std::uint32_t>(std::max(1, llama_model_n_ctx_train(model_.get()))));
    sequences_ =
        std::min(options.sequences_max, static_cast<std::uint32_t>(llama_max_parallel_sequences()));
    threads_ = std::max(1u, options.threads);
    kv_type_ = ggml_type_of(options.kv_type);
    if (options.tune_threads) {
      tuner_.emplace(threads_);
      embedding_tuner_.emplace(threads_);  // its steps are of another kind
    }
  }

  // What can fail of the construction.
  Result<void> initialize() {
    auto params = llama_context_default_params();
    params.n_ctx = context_tokens_ * sequences_;
    params.n_batch = kBatchTokens;
    params.n_ubatch = kBatchTokens;
    params.n_seq_max = sequences_;
    params.n_outputs_max = sequences_;
    params.n_threads = static_cast<std::int32_t>(threads_);
    params.n_threads_batch = params.n_threads;
    params.type_k = params.type_v = kv_type_;
    // A cache of its own for each sequence: attention over one's own tokens only, which is both
    // faster than masking and a wall between tenants.
    params.kv_unified = false;
    context_.reset(llama_init_from_model(model_.get(), params));
    if (!context_ || llama_n_ctx_seq(context_.get()) < context_tokens_) {
      return fail(Error{Code::too_large, "not enough memory for the model's context"}.with(
          "tokens", params.n_ctx));
    }
    ggml_threadpool_params pool{};
    ggml_threadpool_params_init(&pool, static_cast<int>(threads_));
    // Spin for a few milliseconds between batches, which spares a wake-up per token; not for a
    // tenth of a second, as by default, while the front wants the core.
    pool.poll = 1;
    pool_.reset(ggml_threadpool_new(&pool));
    if (!pool_) return fail(Code::unavailable, "model could not be loaded");
    llama_attach_threadpool(context_.get(), pool_.get(), nullptr);
    TACIT_TRY(prompts_, PromptMaker::create(model_.get(), context_tokens_));
    return {};
  }

  std::uint64_t size_bytes() const noexcept override { return llama_model_size(model_.get()); }
  std::uint32_t num_slots() const override { return sequences_; }
  std::uint32_t context_tokens_max() const override { return context_tokens_; }
  std::uint32_t batch_tokens_max() const override { return kBatchTokens; }
  bool is_end(Token token) const override { return llama_vocab_is_eog(vocab_, token); }

  Result<Prompt> prepare(domain::GenerateRequest request) override {
    return prompts_->prepare(std::move(request));
  }

  Result<void> decode(std::span<const BatchEntry> entries) override {
    if (tuner_) {
      const auto threads =
          static_cast<std::int32_t>(tuner_->next(static_cast<std::uint32_t>(entries.size())));
      llama_set_n_threads(context_.get(), threads, threads);
    }
    const auto begun = std::chrono::steady_clock::now();
    auto decoded = guarded("decoding failed", Code::internal, [&]() -> Result<void> {
      if (llama_decode(context_.get(), batch_.fill(entries)) != 0)
        return fail(Code::internal, "decoding failed");
      return {};
    });
    if (tuner_) {
      tuner_->record(seconds_since(begun));
    }
    return decoded;
  }

  Result<Token> sample(Sampler& sampler, std::size_t index) override {
    return static_cast<LlamaSampler&>(sampler).draw(context_.get(),
                                                    static_cast<std::int32_t>(index));
  }

  domain::TokenLogprob logprob(std::size_t index, Token token, std::uint32_t num_top) override {
    const auto* logits = llama_get_logits_ith(context_.get(), static_cast<std::int32_t>(index));
    const std::span all{logits, static_cast<std::size_t>(llama_vocab_n_tokens(vocab_))};
    const auto most = *std::ranges::max_element(all);
    double sum = 0;
    for (const auto logit : all) sum += std::exp(static_cast<double>(logit - most));
    const auto base = static_cast<double>(most) + std::log(sum);
    const auto entry = [&](Token id) {
      const auto value = static_cast<double>(all[static_cast<std::size_t>(id)]) - base;
      domain::TokenLogprob out{
          id, {}, std::isfinite(value) ? std::min(static_cast<float>(value), 0.0f) : -1e9f};
      out.bytes.append(piece(id).substr(0, ProtocolLimits::token_bytes_max));
      return out;
    };
    auto out = entry(token);
    std::vector<Token> order(all.size());
    std::iota(order.begin(), order.end(), 0);
    const auto n = std::min<std::size_t>(num_top, order.size());
    std::ranges::partial_sort(order, order.begin() + static_cast<std::ptrdiff_t>(n), std::greater{},
                              [&](Token id) { return all[static_cast<std::size_t>(id)]; });
    for (std::size_t i = 0; i < n; ++i) out.top.push_back(entry(order[i]));
    return out;
  }

  Result<std::vector<float>> embed(std::span<const Token> tokens) override {
    if (tokens.size() > context_tokens_) {
      return fail(Error{Code::context_exceeded, "prompt does not fit the model's context"}
                      .with("tokens", static_cast<std::int64_t>(tokens.size()))
                      .with("limit", context_tokens_));
    }
    if (!embedder_) {
      TACIT_TRY(embedder_, guarded("decoding failed", Code::internal, [&] {
                  return Embedder::create(model_.get(), context_tokens_, threads_);
                }));
    }
    if (!embedding_tuner_) return embedder_->embed(tokens);
    const auto n = static_cast<std::uint32_t>(tokens.size());
    embedder_->use_threads(embedding_tuner_->next(n));
    const auto begun = std::chrono::steady_clock::now();
    auto made = embedder_->embed(tokens);
    embedding_tuner_->record(seconds_since(begun) / n);
    return made;
  }

  void clear(Slot slot) override {
    llama_memory_seq_rm(llama_get_memory(context_.get()), static_cast<llama_seq_id>(slot), -1, -1);
  }

  bool can_truncate() const override {
    return !llama_model_is_recurrent(model_.get()) && !llama_model_is_hybrid(model_.get());
  }

  bool truncate(Slot slot, std::uint32_t tokens) override {
    const auto sequence = static_cast<llama_seq_id>(slot);
    if (llama_memory_seq_rm(llama_get_memory(context_.get()), sequence,
                            static_cast<llama_pos>(tokens), -1))
      return true;
    clear(slot);
    return false;
  }

  // Each sequence has a cache of its own, so that the whole of it is copied, and its end forgotten.
  bool copy(Slot from, Slot to, std::uint32_t tokens) override {
    llama_memory_seq_cp(llama_get_memory(context_.get()), static_cast<llama_seq_id>(from),
                        static_cast<llama_seq_id>(to), -1, -1);
    return truncate(to, tokens);
  }

  std::string_view piece(Token token) override {
    const bool visible =
        std::ranges::find(prompts_->visible_tokens(), token) != prompts_->visible_tokens().end();
    piece_.resize(piece_.capacity());
    auto n = to_piece(token, visible);
    if (n < 0) {
      piece_.resize(static_cast<std::size_t>(-n));
      n = to_piece(token, visible);
    }
    piece_.resize(static_cast<std::size_t>(std::max(n, 0)));
    return piece_;
  }

 private:
  std::int32_t to_piece(Token token, bool visible) {
    return llama_token_to_piece(vocab_, token, piece_.data(),
                                static_cast<std::int32_t>(piece_.size()), 0, visible);
  }

  // Order matters: what is declared last is freed first.
  FilePtr file_;
  LlamaModelPtr model_;
  const llama_vocab* vocab_;
  std::uint32_t context_tokens_ = 0;
  std::uint32_t sequences_ = 0;
  std::uint32_t threads_ = 1;
  ggml_type kv_type_ = GGML_TYPE_F16;
  std::optional<ThreadTuner> tuner_;
  std::optional<ThreadTuner> embedding_tuner_;
  ThreadPoolPtr pool_;
  LlamaContextPtr context_;
  std::unique_ptr<Embedder> embedder_;
  std::unique_ptr<PromptMaker> prompts_;
  Batch batch_{static_cast<std::int32_t>(kBatchTokens)};
  std::string piece_;
};

Result<std::unique_ptr<Model>> load_with_llama(FilePtr file, std::uint64_t file_bytes,
                                               const ModelOptions& options) {
  Complaints complaints;
  auto params = llama_model_default_params();
  params.check_tensors = false;  // bytes were checked against their hash before they came here
  params.lazy_mode = LLAMA_LAZY_MODE_OFF;
  LlamaModelPtr model{llama_model_load_from_file_ptr(file.get(), params)};
  if (!model) {
    auto error = complaints.or_else(Error{Code::unavailable, "model could not be loaded"});
    if (error.what() == "not enough memory to load the model") {
      return fail(std::move(error).with("bytes", static_cast<std::int64_t>(file_bytes)));
    }
    return fail(std::move(error));
  }
  const auto* vocab = llama_model_get_vocab(model.get());
  if (!llama_model_has_decoder(model.get()) || llama_model_has_encoder(model.get()) ||
      llama_model_is_diffusion(model.get()) || llama_vocab_type(vocab) == LLAMA_VOCAB_TYPE_NONE) {
    return fail(Code::unsupported, "model cannot generate text");
  }
  auto made = std::make_unique<LlamaModel>(std::move(file), std::move(model), options);
  TACIT_CHECK(made->initialize());
  return made;
}

}  // namespace

void initialize_llama() {
  llama_log_set(on_log, nullptr);
  common_log_set_verbosity_thold(std::numeric_limits<int>::min());
  llama_backend_init();
}

std::uint32_t default_threads() {
  return static_cast<std::uint32_t>(std::max(1, common_cpu_get_num_math()));
}

Result<std::unique_ptr<Model>> Model::load(UniqueFd weights, const ModelOptions& options) {
  // Our own strict reader first: it says what is wrong in words of ours, and llama.cpp's never
  // meets a header that is not well-formed.
  TACIT_TRY(const auto header, formats::read_gguf(weights.get()));
  if (::lseek(weights.get(), 0, SEEK_SET) != 0)
    return fail(Code::io, "engine worker failed to read");
  TACIT_TRY(const auto plan, plan_memory(header, {.context_tokens = options.context_tokens,
                                                  .sequences_max = options.sequences_max,
                                                  .kv_type = options.kv_type,
                                                  .memory_bytes = options.memory_bytes}));
  if (!plan.fits()) return fail(does_not_fit(plan));
  auto chosen = options;
  chosen.context_tokens = plan.context_tokens;
  chosen.sequences_max = plan.sequences;
  FilePtr file{::fdopen(weights.get(), "rb"), std::fclose};
  if (!file) return fail(Code::io, "engine worker failed to read");
  weights.release();
  return guarded("model could not be loaded", Code::unavailable,
                 [&] { return load_with_llama(std::move(file), header.file_bytes, chosen); });
}

std::string engine_description() {
  // "CPU : SSE3 = 1 | AVX2 = 1 | REPACK = 1 | " becomes "CPU: SSE3 AVX2 REPACK".
  std::string out = "llama.cpp v" TACIT_LLAMA_VERSION ", ";
  std::string_view info{llama_print_system_info()};
  constexpr std::string_view kBar = " | ";
  while (!info.empty()) {
    const auto bar = std::min(info.find(kBar), info.size());
    auto part = info.substr(0, bar);
    info.remove_prefix(std::min(bar + kBar.size(), info.size()));
    if (const auto colon = part.find(" : "); colon != std::string_view::npos) {
      out.append(part.substr(0, colon)).append(":");
      part.remove_prefix(colon + 3);
    }
    const auto equals = part.find(" = ");
    if (equals == std::string_view::npos || part.substr(equals) == " = 0") continue;
    out.append(" ").append(part.substr(0, equals));
  }
  return out;
}

}  // namespace tacit::engine
