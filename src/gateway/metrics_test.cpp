#include "gateway/metrics.hpp"

#include <gtest/gtest.h>

namespace tacit::gateway {
namespace {

TEST(Metrics, SumsShardsUnderVllmNames) {
  Metrics metrics{2};
  metrics.shard(0).model("m").prompt_tokens.add(3);
  metrics.shard(1).model("m").prompt_tokens.add(4);
  metrics.shard(1).model("m").requests[0].add();
  metrics.shard(0).model("m").time_to_first_token.observe(Milliseconds{3});
  metrics.shard(1).model("m").time_to_first_token.observe(Seconds{500});
  metrics.shard(0).requests_by_status[2].add();
  const auto text = metrics.render({{"m", 2, 1, 0.25}}, 9);
  const auto has = [&](std::string_view line) {
    return text.find(std::string{line} + "\n") != std::string::npos;
  };
  EXPECT_TRUE(has(R"(vllm:prompt_tokens_total{model_name="m"} 7)")) << text;
  EXPECT_TRUE(has(R"(vllm:request_success_total{finished_reason="stop",model_name="m"} 1)"));
  EXPECT_TRUE(has(R"(vllm:time_to_first_token_seconds_bucket{model_name="m",le="0.0025"} 0)"));
  EXPECT_TRUE(has(R"(vllm:time_to_first_token_seconds_bucket{model_name="m",le="0.005"} 1)"));
  EXPECT_TRUE(has(R"(vllm:time_to_first_token_seconds_bucket{model_name="m",le="120"} 1)"));
  EXPECT_TRUE(has(R"(vllm:time_to_first_token_seconds_bucket{model_name="m",le="+Inf"} 2)"));
  EXPECT_TRUE(has(R"(vllm:time_to_first_token_seconds_count{model_name="m"} 2)"));
  EXPECT_TRUE(has(R"(vllm:num_requests_running{model_name="m"} 2)"));
  EXPECT_TRUE(has(R"(vllm:kv_cache_usage_perc{model_name="m"} 0.25)"));
  EXPECT_TRUE(has(R"(tacit_http_requests_total{status="2xx"} 1)"));
  EXPECT_TRUE(has("tacit_http_connections 9"));
}

TEST(Metrics, LabelsAreEscaped) {
  Metrics metrics{1};
  metrics.shard(0).model("a\"b\\c\nd").generation_tokens.add();
  EXPECT_NE(metrics.render({}, 0).find(R"(model_name="a\"b\\c\nd")"), std::string::npos);
}

}  // namespace
}  // namespace tacit::gateway
