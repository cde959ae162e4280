#include "api/openai/responses.hpp"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

namespace tacit::api::openai {
namespace {

using domain::Content;

TEST(ParseResponses, ItemsOfOneTurnBecomeOneMessage) {
  const auto call = responses(R"({"model":"m","instructions":"s","input":[
    {"role":"user","content":[{"type":"input_text","text":"a"}]},
    {"type":"reasoning","id":"r","summary":[],"content":[{"type":"reasoning_text","text":"hm"}]},
    {"type":"message","role":"assistant","content":[{"type":"output_text","text":"well","annotations":[]}]},
    {"type":"function_call","call_id":"c1","name":"add","arguments":"{}"},
    {"type":"function_call_output","call_id":"c1","output":"3"}],
    "tools":[{"type":"function","name":"add","parameters":{"type":"object"}}],
    "tool_choice":{"type":"function","name":"add"},"reasoning":{"effort":"high"},
    "text":{"format":{"type":"json_object"}},"max_output_tokens":9,"store":true})",
                              {});
  ASSERT_TRUE(call) << call.error().message();
  const auto& request = call->requests.at(0);
  ASSERT_EQ(request.messages.size(), 4u);
  EXPECT_EQ(request.messages[2].reasoning.reveal(), "hm");
  EXPECT_EQ(request.messages[2].content.reveal(), "well");
  EXPECT_EQ(request.messages[2].tool_calls.at(0).id, "c1");
  EXPECT_EQ(request.messages[3].tool_name, "add");
  EXPECT_EQ(request.tool_choice.name, "add");
  EXPECT_EQ(request.constraint.kind, domain::Constraint::Kind::json_schema);
  EXPECT_EQ(request.max_tokens, 9u);
  EXPECT_EQ(call->num_unknown_fields, 0u);
}

TEST(ParseResponses, RefusesAndNamesTheField) {
  const auto subject = [](std::string_view members) {
    const auto call = responses(R"({"model":"m","input":"a",)" + std::string{members} + "}", {});
    return call ? std::string{"accepted"} : call.error().subject();
  };
  EXPECT_EQ(subject(R"("previous_response_id":"r")"), "previous_response_id");
  EXPECT_EQ(subject(R"("background":true)"), "background");
  EXPECT_EQ(subject(R"("tools":[{"type":"web_search"}])"), "tools[0].type");
  EXPECT_EQ(subject(R"("tool_choice":"required")"), "tool_choice");
  EXPECT_EQ(subject(R"("input":[{"type":"item_reference","id":"x"}])"), "input[0].type");
  EXPECT_EQ(subject(R"("input":[{"role":"user","content":[{"type":"input_image"}]}])"),
            "input[0].content[0].type");
  EXPECT_EQ(subject(R"("background":false,"previous_response_id":null)"), "accepted");
}

TEST(ResponsesRenderer, EveryItemIsOpenedAndClosed) {
  ResponsesRenderer renderer{true, {}};
  renderer.begin({"1", "m", 5});
  renderer.feed(0, domain::Started{3});
  renderer.feed(0, domain::ReasoningDelta{Content{"hm"}, 2});
  renderer.feed(0, domain::TextDelta{Content{"a"}});
  renderer.feed(0, domain::ToolCallDelta{0, "c1", "add", Content{}});
  renderer.feed(0, domain::ToolCallDelta{0, "", "", Content{"{}"}});
  renderer.feed(0, domain::Finished{domain::FinishReason::tool_calls, {3, 0, 9}});
  const auto bytes = renderer.take();
  std::string kinds;
  boost::json::value last;
  std::int64_t number = 0;
  for (auto text = bytes.reveal(); !text.empty();) {
    const auto end = text.find("\n\n");
    const auto data = text.find("data: ");
    last = boost::json::parse(text.substr(data + 6, end - data - 6));
    EXPECT_EQ(last.at("sequence_number").as_int64(), number++);
    const std::string_view type{last.at("type").as_string()};
    EXPECT_TRUE(text.starts_with("event: " + std::string{type} + "\n"));
    kinds += type.substr(sizeof "response." - 1);
    kinds += ' ';
    text.remove_prefix(end + 2);
  }
  EXPECT_EQ(kinds,
            "created in_progress "
            "output_item.added content_part.added reasoning_text.delta reasoning_text.done "
            "content_part.done output_item.done "
            "output_item.added content_part.added output_text.delta output_text.done "
            "content_part.done output_item.done "
            "output_item.added function_call_arguments.delta function_call_arguments.done "
            "output_item.done completed ");
  const auto& response = last.at("response");
  EXPECT_EQ(response.at("output").as_array().size(), 3u);
  EXPECT_EQ(response.at("output").at(2).at("arguments").as_string(), "{}");
  EXPECT_EQ(response.at("usage").at("output_tokens_details").at("reasoning_tokens").as_int64(), 2);
}

TEST(ResponsesRenderer, AnAnswerThatWasCutOffIsIncomplete) {
  ResponsesRenderer renderer{false, {}};
  renderer.begin({"1", "m", 5});
  renderer.feed(0, domain::TextDelta{Content{"a"}});
  renderer.feed(0, domain::Finished{domain::FinishReason::length, {3, 0, 1}});
  const auto bytes = renderer.take();
  const auto body = boost::json::parse(bytes.reveal());
  EXPECT_EQ(body.at("status").as_string(), "incomplete");
  EXPECT_EQ(body.at("incomplete_details").at("reason").as_string(), "max_output_tokens");
  EXPECT_EQ(body.at("output").at(0).at("status").as_string(), "incomplete");
}

TEST(ResponsesRenderer, AFailureInMidStreamIsAFailedResponse) {
  ResponsesRenderer renderer{true, {}};
  renderer.begin({"1", "m", 5});
  renderer.feed(0, domain::TextDelta{Content{"a"}});
  renderer.feed(0, domain::Failed{Error{Code::worker_lost, "engine worker ended"}});
  const auto bytes = renderer.take();
  EXPECT_NE(bytes.reveal().find("event: response.failed\n"), std::string_view::npos);
}

}  // namespace
}  // namespace tacit::api::openai
