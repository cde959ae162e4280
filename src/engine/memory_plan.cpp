#include "engine/memory_plan.hpp"

#include <algorithm>

#include "core/text.hpp"
#include "engine/machine_memory.hpp"
#include "engine/model_limits.hpp"
#include "formats/gguf.hpp"

namespace tacit::engine {
namespace {

using formats::GgufFile;

constexpr std::uint64_t kMiB = 1024 * 1024;
constexpr std::uint32_t kContextChosenMin = 512;
// Of a worker beside the model: its program and libraries, buffers, the chat template's machinery.
constexpr std::uint64_t kProcessBytes = 22 * kMiB;
constexpr std::uint64_t kVocabularyBytesPerToken = 200;

constexpr std::uint64_t kNumberMax = (1ull << 24) + 1;

// The shape of a model, as far as memory depends on it.
struct Shape {
  std::uint64_t layers = 0;
  std::uint64_t width = 0;         // n_embd
  std::uint64_t feed_forward = 0;  // of what is computed for one token
  std::uint64_t vocabulary = 0;
  std::uint64_t kv_values = 0;    // per token, all layers together
  std::uint64_t state_bytes = 0;  // per sequence, of recurrent layers
};

class Header {
 public:
  explicit Header(const GgufFile& file) : file_{file}, prefix_{file.architecture() + "."} {}

  // Capped, so that products of a few do not overflow; what is capped is not plausible anyway.
  std::optional<std::uint64_t> number(std::string_view key) const {
    const auto value = file_.number(prefix_ + std::string{key});
    return value ? std::optional{std::min(*value, kNumberMax)} : std::nullopt;
  }
  // One number, or one per layer.
  std::uint64_t of_layer(std::string_view key, std::size_t layer, std::uint64_t otherwise) const {
    if (const auto one = number(key)) return *one;
    const auto it = file_.metadata.find(prefix_ + std::string{key});
    if (it == file_.metadata.end()) return otherwise;
    const auto* array = std::get_if<formats::GgufArray>(&it->second);
    if (array == nullptr || layer >= array->preview.size()) return otherwise;
    return std::min(parse_u64(array->preview[layer]).value_or(otherwise), kNumberMax);
  }

 private:
  const GgufFile& file_;
  std::string prefix_;
};

// Keys and values of one token in one layer.
std::uint64_t kv_values_of(const Header& header, std::size_t layer, std::uint64_t width) {
  const auto heads = std::max<std::uint64_t>(1, header.of_layer("attention.head_count", layer, 1));
  const auto kv_heads = header.of_layer("attention.head_count_kv", layer, heads);
  if (const auto rank = header.number("attention.kv_lora_rank"); rank && kv_heads > 0)
    return *rank + header.number("rope.dimension_count").value_or(0);  // one latent vector for both
  const auto key = header.number("attention.key_length").value_or(width / heads);
  const auto value = header.number("attention.value_length").value_or(width / heads);
  return kv_heads * (key + value);
}

std::uint64_t vocabulary_of(const GgufFile& file, const Header& header) {
  if (const auto given = header.number("vocab_size")) return *given;
  const auto it = file.metadata.find("tokenizer.ggml.tokens");
  if (it == file.metadata.end()) return 0;
  const auto* tokens = std::get_if<formats::GgufArray>(&it->second);
  return tokens == nullptr ? 0 : tokens->count;
}

bool plausible(const Shape& shape) {
  constexpr std::uint64_t kLayersMax = 4096;
  constexpr std::uint64_t kSizeMax = 1ull << 24;
  return shape.layers > 0 && shape.layers <= kLayersMax && shape.width > 0 &&
         shape.width <= kSizeMax && shape.feed_forward <= kSizeMax &&
         shape.vocabulary <= kSizeMax && shape.kv_values <= 1ull << 26 &&
         shape.state_bytes <= 1ull << 40;
}

Result<Shape> shape_of(const GgufFile& file) {
  const Header header{file};
  Shape shape;
  shape.layers = header.number("block_count").value_or(0);
  shape.width = header.number("embedding_length").value_or(0);
  const auto expert = header.number("expert_feed_forward_length");
  shape.feed_forward =
      expert ? *expert * std::max<std::uint64_t>(1, header.number("expert_used_count").value_or(1))
             : header.of_layer("feed_forward_length", 0, 4 * shape.width);
  shape.vocabulary = vocabulary_of(file, header);
  if (!plausible(shape)) return fail(Code::malformed, "model metadata is invalid");
  const auto conv = header.number("ssm.conv_kernel").value_or(0);
  const auto inner = header.number("ssm.inner_size").value_or(0);
  const auto state = header.number("ssm.state_size").value_or(0);
  if (std::max({conv, inner, state}) > 1u << 24)
    return fail(Code::malformed, "model metadata is invalid");
  for (std::size_t layer = 0; layer < shape.layers; ++layer)
    shape.kv_values += kv_values_of(header, layer, shape.width);
  shape.state_bytes = shape.layers * inner * (std::max<std::uint64_t>(conv, 1) - 1 + state) * 4;
  if (!plausible(shape)) return fail(Code::malformed, "model metadata is invalid");
  return shape;
}

std::uint64_t kv_bytes(std::uint64_t values, KvType type) {
  switch (type) {
    case KvType::f16: return values * 2;
    case KvType::q8_0: return values * 34 / 32;  // 32 bytes and a scale for 32 values
    case KvType::q4_0: return values * 18 / 32;
  }
  return values * 2;
}

// What is alive at once while `batch` tokens go through a layer: the feed-forward's two halves,
// some vectors as wide as the model, and the mask of who may look at whom, in two precisions.
std::uint64_t activations(const Shape& shape, std::uint64_t batch, std::uint64_t context) {
  const auto per_token = 4 * (2 * shape.feed_forward + 6 * shape.width);
  return batch * (per_token + 6 * context);
}

// The logits of `outputs` tokens, in the graph and copied out of it.
std::uint64_t logits(const Shape& shape, std::uint64_t outputs) {
  return outputs * shape.vocabulary * 4 * 2;
}

void fill(MemoryPlan& plan, const Shape& shape, const PlanOptions& options) {
  // llama.cpp pads a sequence's cache to a multiple of this many tokens.
  constexpr std::uint64_t kPadding = 256;
  const std::uint64_t context = (plan.context_tokens + kPadding - 1) / kPadding * kPadding;
  plan.kv_bytes_per_token = kv_bytes(shape.kv_values, options.kv_type);
  plan.kv_bytes = plan.sequences * (context * plan.kv_bytes_per_token + shape.state_bytes);
  plan.compute_bytes = activations(shape, kBatchTokens, context) + logits(shape, plan.sequences);
  plan.process_bytes = kProcessBytes + shape.vocabulary * kVocabularyBytesPerToken;
  plan.embeddings_bytes = context * kv_bytes(shape.kv_values, KvType::f16) + shape.state_bytes +
                          activations(shape, kEmbeddingBatchTokens, context) +
                          logits(shape, kEmbeddingBatchTokens);
}

}  // namespace

Result<MemoryPlan> plan_memory(const GgufFile& header, const PlanOptions& options) {
  TACIT_TRY(const auto shape, shape_of(header));
  MemoryPlan plan;
  plan.architecture = header.architecture();
  plan.memory_bytes = options.memory_bytes;
  for (const auto& tensor : header.tensors) plan.weights_bytes += tensor.size_bytes;
  const auto trained = static_cast<std::uint32_t>(
      std::clamp<std::uint64_t>(header.context_length().value_or(1), 1, kContextMax));
  plan.context_tokens =
      std::min(options.context_tokens > 0 ? options.context_tokens : kDefaultContextMax, trained);
  plan.sequences = std::min(options.sequences_max > 0 ? options.sequences_max : kDefaultSequences,
                            kSequencesMax);
  fill(plan, shape, options);
  while (!plan.fits() && options.sequences_max == 0 && plan.sequences > 1) {
    plan.sequences /= 2;
    fill(plan, shape, options);
  }
  while (!plan.fits() && options.context_tokens == 0 &&
         plan.context_tokens / 2 >= kContextChosenMin) {
    plan.context_tokens /= 2;
    fill(plan, shape, options);
  }
  return plan;
}

Result<MemoryPlan> plan_file(int fd, const PlanOptions& options) {
  TACIT_TRY(const auto header, formats::read_gguf(fd));
  auto told = options;
  if (told.memory_bytes == 0) told.memory_bytes = usable_memory_bytes();
  return plan_memory(header, told);
}

Error does_not_fit(const MemoryPlan& plan) {
  return Error{Code::too_large, "model does not fit into memory"}
      .with("needed_bytes", static_cast<std::int64_t>(plan.total_bytes()))
      .with("free_bytes", static_cast<std::int64_t>(plan.memory_bytes));
}

}  // namespace tacit::engine
