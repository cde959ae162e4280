#include "api/anthropic/messages.hpp"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

namespace tacit::api::anthropic {
namespace {

using domain::Content;

Result<Call> parse(std::string_view members) {
  return messages(R"({"model":"m","max_tokens":9,)" + std::string{members} + "}", {});
}

TEST(ParseMessages, ReadsBlocksToolsAndResults) {
  const auto call = parse(R"("system":[{"type":"text","text":"be brief"}],"messages":[
      {"role":"user","content":"add"},
      {"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"s"},
        {"type":"text","text":"well"},{"type":"tool_use","id":"t1","name":"add","input":{"a":1}}]},
      {"role":"user","content":[{"type":"tool_result","tool_use_id":"t1",
        "content":[{"type":"text","text":"3"}]},{"type":"text","text":"and now?"}]}],
      "tools":[{"name":"add","input_schema":{"type":"object"},"cache_control":{"type":"ephemeral"}}],
      "tool_choice":{"type":"tool","name":"add","disable_parallel_tool_use":true},
      "thinking":{"type":"enabled","budget_tokens":2000},"stop_sequences":["z"],"top_k":5)");
  ASSERT_TRUE(call) << call.error().message();
  const auto& request = call->requests.at(0);
  ASSERT_EQ(request.messages.size(), 5u);
  EXPECT_EQ(request.messages[0].role, domain::Role::system);
  EXPECT_EQ(request.messages[2].reasoning.reveal(), "hm");
  EXPECT_EQ(request.messages[2].tool_calls.at(0).arguments.reveal(), R"({"a":1})");
  EXPECT_EQ(request.messages[3].role, domain::Role::tool);
  EXPECT_EQ(request.messages[3].tool_name, "add");
  EXPECT_EQ(request.messages[3].content.reveal(), "3");
  EXPECT_EQ(request.messages[4].content.reveal(), "and now?");
  EXPECT_EQ(request.tool_choice.use, domain::ToolUse::required);
  EXPECT_FALSE(request.tool_choice.parallel);
  EXPECT_EQ(request.reasoning.tokens_max, 2000u);
  EXPECT_EQ(request.sampling.top_k, 5);
  EXPECT_FALSE(request.continue_last);
  EXPECT_EQ(call->num_unknown_fields, 0u);
}

TEST(ParseMessages, AnAnswerThatWasBegunIsToGoOn) {
  EXPECT_TRUE(
      parse(R"("messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}])")
          ->requests.at(0)
          .continue_last);
}

TEST(ParseMessages, RefusesAndNamesTheField) {
  struct Refusal {
    std::string members;
    Code code;
    std::string subject;
  };
  const std::string user = R"("messages":[{"role":"user","content":"a"}])";
  const Refusal refusals[] = {
      {R"("x":1)", Code::invalid_argument, "messages"},
      {R"("messages":[{"role":"king","content":"a"}])", Code::invalid_argument, "messages[0].role"},
      {R"("messages":[{"role":"user"}])", Code::invalid_argument, "messages[0].content"},
      {R"("messages":[{"role":"user","content":[{"type":"image"}]}])", Code::unsupported,
       "messages[0].content[0].type"},
      {user + R"(,"tools":[{"type":"web_search_20250305","name":"w"}])", Code::unsupported,
       "tools[0].type"},
      {user + R"(,"tool_choice":{"type":"any"})", Code::invalid_argument, "tool_choice"},
      {user + R"(,"thinking":{"type":"maybe"})", Code::invalid_argument, "thinking.type"},
      {user + R"(,"mcp_servers":[{"url":"x"}])", Code::unsupported, "mcp_servers"},
      {user + R"(,"temperature":3)", Code::invalid_argument, "temperature"},
  };
  for (const auto& refusal : refusals) {
    const auto call = parse(refusal.members);
    ASSERT_FALSE(call) << refusal.members;
    EXPECT_EQ(call.error().code(), refusal.code) << refusal.members;
    EXPECT_EQ(call.error().subject(), refusal.subject);
  }
  EXPECT_EQ(messages(R"({"model":"m",)" + user + "}", {}).error().subject(), "max_tokens");
}

TEST(CountTokens, AsksOnlyForTheNumber) {
  auto call = count_tokens(R"({"model":"m","messages":[{"role":"user","content":"a"}]})", {});
  ASSERT_TRUE(call);
  EXPECT_EQ(call->requests.at(0).purpose, domain::Purpose::count);
  call->renderer->feed(0, domain::Finished{domain::FinishReason::stop, {7, 0, 0}});
  EXPECT_EQ(call->renderer->take().reveal(), R"({"input_tokens":7})");
}

void feed_everything(MessagesRenderer& renderer) {
  renderer.begin({"1", "m", 5});
  renderer.feed(0, domain::Started{3});
  renderer.feed(0, domain::ReasoningDelta{Content{"hm"}});
  renderer.feed(0, domain::TextDelta{Content{"a \"b\""}});
  renderer.feed(0, domain::ToolCallDelta{0, "t1", "add", Content{}});
  renderer.feed(0, domain::ToolCallDelta{0, "", "", Content{R"({"a":)"}});
  renderer.feed(0, domain::ToolCallDelta{0, "", "", Content{"1}"}});
  renderer.feed(0, domain::Finished{domain::FinishReason::tool_calls, {3, 1, 9}});
}

TEST(MessagesRenderer, WholeMessage) {
  MessagesRenderer renderer{false, {}};
  feed_everything(renderer);
  const auto bytes = renderer.take();
  const auto body = boost::json::parse(bytes.reveal());
  EXPECT_EQ(body.at("stop_reason").as_string(), "tool_use");
  const auto& content = body.at("content").as_array();
  ASSERT_EQ(content.size(), 3u);
  EXPECT_EQ(content[0].at("thinking").as_string(), "hm");
  EXPECT_EQ(content[1].at("text").as_string(), "a \"b\"");
  EXPECT_EQ(content[2].at("input").at("a").as_int64(), 1);
  EXPECT_EQ(body.at("usage").at("input_tokens").as_int64(), 2);
  EXPECT_EQ(body.at("usage").at("cache_read_input_tokens").as_int64(), 1);
}

TEST(MessagesRenderer, EventsInOrderWithTheirBlocks) {
  MessagesRenderer renderer{true, {}};
  feed_everything(renderer);
  const auto bytes = renderer.take();
  std::string kinds;
  for (auto text = bytes.reveal(); !text.empty();) {
    const auto end = text.find("\n\n");
    const auto data = text.find("data: ");
    const auto event = boost::json::parse(text.substr(data + 6, end - data - 6));
    kinds += event.at("type").as_string();
    if (const auto* index = event.as_object().if_contains("index"))
      kinds += std::to_string(index->as_int64());
    kinds += ' ';
    text.remove_prefix(end + 2);
  }
  EXPECT_EQ(kinds,
            "message_start content_block_start0 content_block_delta0 content_block_delta0 "
            "content_block_stop0 content_block_start1 content_block_delta1 content_block_stop1 "
            "content_block_start2 content_block_delta2 content_block_delta2 content_block_stop2 "
            "message_delta message_stop ");
}

TEST(MessagesRenderer, AStopSequenceIsNamed) {
  std::vector<Content> stops;
  stops.emplace_back("END");
  MessagesRenderer renderer{false, std::move(stops)};
  renderer.begin({"1", "m", 5});
  renderer.feed(0, domain::Finished{domain::FinishReason::stop, {}, 0U});
  const auto bytes = renderer.take();
  const auto body = boost::json::parse(bytes.reveal());
  EXPECT_EQ(body.at("stop_reason").as_string(), "stop_sequence");
  EXPECT_EQ(body.at("stop_sequence").as_string(), "END");
}

TEST(Dialect, ErrorsHaveAnthropicsShape) {
  const auto body = boost::json::parse(kDialect.error(Error{Code::overloaded, "busy"}, {}));
  EXPECT_EQ(body.at("type").as_string(), "error");
  EXPECT_EQ(body.at("error").at("type").as_string(), "rate_limit_error");
}

}  // namespace
}  // namespace tacit::api::anthropic
