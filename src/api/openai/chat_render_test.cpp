#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include <string>
#include <vector>

#include "api/openai/chat.hpp"

namespace tacit::api::openai {
namespace {

using domain::Content;

ChatRenderer::Options options(bool stream, bool usage = false) {
  return {.id = "chatcmpl-1",
          .model = "m",
          .created_unix_s = 5,
          .stream = stream,
          .include_usage = usage};
}

std::vector<std::string> sse_data(std::string_view text) {
  std::vector<std::string> events;
  while (!text.empty()) {
    const auto end = text.find("\n\n");
    EXPECT_NE(end, std::string_view::npos);
    EXPECT_TRUE(text.starts_with("data: "));
    events.emplace_back(text.substr(6, end - 6));
    text.remove_prefix(end + 2);
  }
  return events;
}

TEST(ChatRenderer, StreamsRoleTextFinishUsageDone) {
  ChatRenderer renderer{options(true, true)};
  renderer.feed(domain::Started{3});
  renderer.feed(domain::TextDelta{Content{"He said \"hi\"\n"}});
  renderer.feed(domain::Finished{domain::FinishReason::length, {3, 1, 4}});
  const auto bytes = renderer.take();
  const auto events = sse_data(bytes.reveal());
  ASSERT_EQ(events.size(), 5u);
  EXPECT_EQ(
      events[0],
      R"({"id":"chatcmpl-1","object":"chat.completion.chunk","created":5,"model":"m","system_fingerprint":null,)"
      R"("choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,)"
      R"("finish_reason":null}],"usage":null})");
  const auto text = boost::json::parse(events[1]);
  EXPECT_EQ(text.at("choices").at(0).at("delta").at("content").as_string(), "He said \"hi\"\n");
  EXPECT_EQ(boost::json::parse(events[2]).at("choices").at(0).at("finish_reason").as_string(),
            "length");
  const auto usage = boost::json::parse(events[3]);
  EXPECT_TRUE(usage.at("choices").as_array().empty());
  EXPECT_EQ(usage.at("usage").at("total_tokens").as_int64(), 7);
  EXPECT_EQ(usage.at("usage").at("prompt_tokens_details").at("cached_tokens").as_int64(), 1);
  EXPECT_EQ(events[4], "[DONE]");
  EXPECT_TRUE(renderer.take().empty());
}

TEST(ChatRenderer, WithoutIncludeUsageNoChunkMentionsIt) {
  ChatRenderer renderer{options(true)};
  renderer.feed(domain::TextDelta{Content{"x"}});
  renderer.feed(domain::Finished{});
  const auto bytes = renderer.take();
  EXPECT_EQ(bytes.reveal().find("usage"), std::string_view::npos);
}

TEST(ChatRenderer, AFailureInMidStreamIsAnErrorEventAndNoDone) {
  ChatRenderer renderer{options(true)};
  renderer.feed(domain::TextDelta{Content{"x"}});
  renderer.take();
  renderer.feed(domain::Failed{Error{Code::worker_lost, "engine worker ended during the request"}});
  const auto bytes = renderer.take();
  const auto events = sse_data(bytes.reveal());
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(boost::json::parse(events[0]).at("error").at("code").as_string(), "worker_lost");
}

TEST(ChatRenderer, WholeAnswer) {
  ChatRenderer renderer{options(false)};
  renderer.feed(domain::Started{2});
  renderer.feed(domain::ReasoningDelta{Content{"hm"}});
  renderer.feed(domain::TextDelta{Content{"a"}});
  EXPECT_TRUE(renderer.take().empty());
  renderer.feed(domain::TextDelta{Content{"b"}});
  renderer.feed(domain::Finished{domain::FinishReason::stop, {2, 0, 2}});
  const auto bytes = renderer.take();
  const auto body = boost::json::parse(bytes.reveal());
  EXPECT_EQ(body.at("object").as_string(), "chat.completion");
  const auto& choice = body.at("choices").at(0);
  EXPECT_EQ(choice.at("message").at("content").as_string(), "ab");
  EXPECT_EQ(choice.at("message").at("reasoning_content").as_string(), "hm");
  EXPECT_EQ(choice.at("finish_reason").as_string(), "stop");
  EXPECT_EQ(body.at("usage").at("total_tokens").as_int64(), 4);
}

}  // namespace
}  // namespace tacit::api::openai
