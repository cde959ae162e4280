#include "engine/memory_plan.hpp"

#include <gtest/gtest.h>

#include "formats/gguf.hpp"

namespace tacit::engine {
namespace {

formats::GgufFile smollm2() {
  formats::GgufFile file;
  file.metadata["general.architecture"] = std::string{"llama"};
  for (const auto& [key, value] : {std::pair{"block_count", 30u},
                                   {"embedding_length", 576u},
                                   {"feed_forward_length", 1536u},
                                   {"attention.head_count", 9u},
                                   {"attention.head_count_kv", 3u},
                                   {"context_length", 8192u},
                                   {"vocab_size", 49'152u}})
    file.metadata["llama." + std::string{key}] = std::uint64_t{value};
  file.tensors.push_back({"all", {1}, 0, 0, 96'000'000});
  return file;
}

TEST(MemoryPlan, CountsTheCacheToTheByte) {
  const auto plan = plan_memory(smollm2(), {.context_tokens = 2048, .sequences_max = 4});
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->kv_bytes_per_token, 30u * 3 * (64 + 64) * 2);
  EXPECT_EQ(plan->kv_bytes, 4u * 2048 * 23'040);
  EXPECT_EQ(plan->weights_bytes, 96'000'000u);
  EXPECT_GT(plan->embeddings_bytes, 2048u * 23'040) << "a second context, with a cache of its own";
  EXPECT_TRUE(plan->fits());
  const auto q8 = plan_memory(smollm2(), {.context_tokens = 2048, .kv_type = KvType::q8_0});
  EXPECT_EQ(q8->kv_bytes_per_token, 30u * 3 * 128 * 34 / 32);
  const auto q4 = plan_memory(smollm2(), {.context_tokens = 2048, .kv_type = KvType::q4_0});
  EXPECT_EQ(q4->kv_bytes_per_token, 30u * 3 * 128 * 18 / 32);
}

TEST(MemoryPlan, ChoosesWhatFitsAndKeepsWhatWasAskedFor) {
  const auto roomy = plan_memory(smollm2(), {});
  EXPECT_EQ(roomy->context_tokens, 4096u);
  EXPECT_EQ(roomy->sequences, 8u);
  const std::uint64_t tight = 350'000'000;
  const auto chosen = plan_memory(smollm2(), {.memory_bytes = tight});
  EXPECT_TRUE(chosen->fits());
  EXPECT_EQ(chosen->context_tokens, 4096u);
  EXPECT_LT(chosen->sequences, 8u);
  const auto shorter = plan_memory(smollm2(), {.sequences_max = 8, .memory_bytes = tight});
  EXPECT_TRUE(shorter->fits());
  EXPECT_EQ(shorter->sequences, 8u);
  EXPECT_LT(shorter->context_tokens, 4096u);
  const auto told =
      plan_memory(smollm2(), {.context_tokens = 8192, .sequences_max = 8, .memory_bytes = tight});
  EXPECT_FALSE(told->fits());
  EXPECT_EQ(told->context_tokens, 8192u);
}

TEST(MemoryPlan, KnowsGroupedAndLatentAndPerLayerAttention) {
  auto file = smollm2();
  file.metadata["llama.attention.key_length"] = std::uint64_t{128};
  file.metadata["llama.attention.value_length"] = std::uint64_t{32};
  EXPECT_EQ(plan_memory(file, {})->kv_bytes_per_token, 30u * 3 * 160 * 2);
  auto per_layer = smollm2();
  formats::GgufArray heads{4, 30, std::vector<std::string>(30, "0")};
  heads.preview[7] = "3";
  per_layer.metadata["llama.attention.head_count_kv"] = heads;
  EXPECT_EQ(plan_memory(per_layer, {})->kv_bytes_per_token, 1u * 3 * 128 * 2);
  auto latent = smollm2();
  latent.metadata["llama.attention.kv_lora_rank"] = std::uint64_t{512};
  latent.metadata["llama.rope.dimension_count"] = std::uint64_t{64};
  EXPECT_EQ(plan_memory(latent, {})->kv_bytes_per_token, 30u * 576 * 2);
}

// A header is foreign: whatever its numbers, the plan is an error or a sum that did not wrap.
TEST(MemoryPlan, AbsurdFiguresAreRefused) {
  for (const auto* key :
       {"block_count", "embedding_length", "feed_forward_length", "attention.head_count_kv",
        "attention.key_length", "vocab_size", "ssm.inner_size"}) {
    auto file = smollm2();
    file.metadata["llama." + std::string{key}] = ~std::uint64_t{0};
    const auto plan = plan_memory(file, {.context_tokens = ~0u, .sequences_max = ~0u});
    EXPECT_FALSE(plan) << key;
  }
  EXPECT_FALSE(plan_memory(formats::GgufFile{}, {}));
}

}  // namespace
}  // namespace tacit::engine
