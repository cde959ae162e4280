#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include <string>
#include <vector>

#include "api/openai/chat.hpp"

namespace tacit::api::openai {
namespace {

using domain::Content;

ChatRenderer make(bool stream, bool usage = false, std::uint32_t num_choices = 1) {
  ChatRenderer renderer{{.stream = stream, .include_usage = usage, .num_choices = num_choices}};
  renderer.begin({"1", "m", 5});
  return renderer;
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
  auto renderer = make(true, true);
  renderer.feed(0, domain::Started{3});
  renderer.feed(0, domain::TextDelta{Content{"He said \"hi\"\n"}});
  renderer.feed(0, domain::Finished{domain::FinishReason::length, {3, 1, 4}});
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
  auto renderer = make(true);
  renderer.feed(0, domain::TextDelta{Content{"x"}});
  renderer.feed(0, domain::Finished{});
  const auto bytes = renderer.take();
  EXPECT_EQ(bytes.reveal().find("usage"), std::string_view::npos);
}

TEST(ChatRenderer, AFailureInMidStreamIsAnErrorEventAndNoDone) {
  auto renderer = make(true);
  renderer.feed(0, domain::TextDelta{Content{"x"}});
  renderer.take();
  renderer.feed(0,
                domain::Failed{Error{Code::worker_lost, "engine worker ended during the request"}});
  const auto bytes = renderer.take();
  const auto events = sse_data(bytes.reveal());
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(boost::json::parse(events[0]).at("error").at("code").as_string(), "worker_lost");
}

TEST(ChatRenderer, WholeAnswer) {
  auto renderer = make(false);
  renderer.feed(0, domain::Started{2});
  renderer.feed(0, domain::ReasoningDelta{Content{"hm"}});
  renderer.feed(0, domain::TextDelta{Content{"a"}});
  EXPECT_TRUE(renderer.take().empty());
  renderer.feed(0, domain::TextDelta{Content{"b"}});
  renderer.feed(0, domain::Finished{domain::FinishReason::stop, {2, 0, 2}});
  const auto bytes = renderer.take();
  const auto body = boost::json::parse(bytes.reveal());
  EXPECT_EQ(body.at("object").as_string(), "chat.completion");
  const auto& choice = body.at("choices").at(0);
  EXPECT_EQ(choice.at("message").at("content").as_string(), "ab");
  EXPECT_EQ(choice.at("message").at("reasoning_content").as_string(), "hm");
  EXPECT_EQ(choice.at("finish_reason").as_string(), "stop");
  EXPECT_EQ(body.at("usage").at("total_tokens").as_int64(), 4);
}

TEST(ChatRenderer, ToolCallsWholeAndStreamed) {
  const auto feed = [](ChatRenderer& renderer) {
    renderer.feed(0, domain::Started{2});
    renderer.feed(0, domain::ToolCallDelta{0, "c1", "add", Content{}});
    renderer.feed(0, domain::ToolCallDelta{0, "", "", Content{R"({"a":)"}});
    renderer.feed(0, domain::ToolCallDelta{0, "", "", Content{"1}"}});
    renderer.feed(0, domain::Finished{domain::FinishReason::tool_calls, {2, 0, 2}});
  };
  auto whole = make(false);
  feed(whole);
  const auto bytes = whole.take();
  const auto body = boost::json::parse(bytes.reveal());
  const auto& choice = body.at("choices").at(0);
  EXPECT_TRUE(choice.at("message").at("content").is_null());
  EXPECT_EQ(choice.at("finish_reason").as_string(), "tool_calls");
  const auto& call = choice.at("message").at("tool_calls").at(0);
  EXPECT_EQ(call.at("id").as_string(), "c1");
  EXPECT_EQ(call.at("function").at("arguments").as_string(), R"({"a":1})");
  auto streamed = make(true);
  feed(streamed);
  const auto stream = streamed.take();
  std::string arguments;
  for (const auto& event : sse_data(stream.reveal())) {
    if (event == "[DONE]") continue;
    const auto chunk = boost::json::parse(event);
    const auto& delta = chunk.at("choices").at(0).at("delta").as_object();
    if (const auto* calls = delta.if_contains("tool_calls"))
      arguments += calls->at(0).at("function").at("arguments").as_string();
  }
  EXPECT_EQ(arguments, R"({"a":1})");
}

TEST(ChatRenderer, SeveralChoicesEndOnce) {
  auto renderer = make(true, true, 2);
  for (std::uint32_t i = 0; i < 2; ++i) {
    renderer.feed(i, domain::TextDelta{Content{"x"}});
    renderer.feed(i, domain::Finished{domain::FinishReason::stop, {3, 0, 1}});
  }
  const auto bytes = renderer.take();
  const auto events = sse_data(bytes.reveal());
  ASSERT_EQ(events.size(), 8u);
  EXPECT_EQ(boost::json::parse(events[4]).at("choices").at(0).at("index").as_int64(), 1);
  const auto usage = boost::json::parse(events[6]);
  EXPECT_EQ(usage.at("usage").at("prompt_tokens").as_int64(), 3);
  EXPECT_EQ(usage.at("usage").at("completion_tokens").as_int64(), 2);
  EXPECT_EQ(events[7], "[DONE]");
}

TEST(ChatRenderer, LogprobsOfATokenThatIsHalfACharacter) {
  ChatRenderer renderer{{.logprobs = true}};
  renderer.begin({"1", "m", 5});
  domain::TextDelta delta{Content{"a"}};
  delta.logprobs.push_back({7, Content{"\xC3"}, -0.5F});
  delta.logprobs.back().top.push_back({8, Content{"b"}, -1.5F});
  renderer.feed(0, domain::Event{std::move(delta)});
  renderer.feed(0, domain::Finished{});
  const auto bytes = renderer.take();
  const auto body = boost::json::parse(bytes.reveal());
  const auto& token = body.at("choices").at(0).at("logprobs").at("content").at(0);
  EXPECT_EQ(token.at("bytes").at(0).as_int64(), 0xC3);
  EXPECT_EQ(token.at("top_logprobs").at(0).at("token").as_string(), "b");
}

}  // namespace
}  // namespace tacit::api::openai
