#include "api/ollama/ollama.hpp"

#include <gtest/gtest.h>

#include <array>

#include <boost/json/parse.hpp>

namespace tacit::api::ollama {
namespace {

using domain::Content;

TEST(OllamaChat, ReadsOptionsToolsAndFormat) {
  const auto call = chat(R"({"model":"m","messages":[{"role":"user","content":"a"},
    {"role":"assistant","content":"","tool_calls":[{"function":{"name":"f","arguments":{"a":1}}}]},
    {"role":"tool","tool_name":"f","content":"3"}],"tools":[{"type":"function","function":{"name":"f"}}],
    "options":{"num_predict":5,"temperature":0.5,"repeat_penalty":1.1,"num_ctx":8192,"stop":["z"]},
    "think":"low","format":{"type":"object"},"keep_alive":"5m"})",
                         {});
  ASSERT_TRUE(call) << call.error().message();
  EXPECT_TRUE(call->stream) << "streams unless told otherwise";
  EXPECT_EQ(call->stream_type, "application/x-ndjson");
  const auto& request = call->requests.at(0);
  EXPECT_EQ(request.max_tokens, 5u);
  EXPECT_EQ(request.messages[1].tool_calls.at(0).arguments.reveal(), R"({"a":1})");
  EXPECT_EQ(request.messages[2].tool_name, "f");
  EXPECT_EQ(request.reasoning.effort, domain::Effort::low);
  EXPECT_EQ(request.constraint.kind, domain::Constraint::Kind::json_schema);
  EXPECT_EQ(request.stop.size(), 1u);
}

TEST(OllamaGenerate, APromptIsATurnUnlessRaw) {
  EXPECT_EQ(
      generate(R"({"model":"m","prompt":"a","system":"s"})", {})->requests.at(0).messages.size(),
      2u);
  const auto raw = generate(R"({"model":"m","prompt":"a","raw":true})", {});
  EXPECT_EQ(raw->requests.at(0).text->reveal(), "a");
  EXPECT_EQ(generate(R"({"model":"m"})", {})->requests.at(0).purpose, domain::Purpose::count);
}

TEST(Ollama, RefusesAndNamesTheField) {
  EXPECT_EQ(generate(R"({"model":"m","prompt":"a","suffix":"b"})", {}).error().subject(), "suffix");
  EXPECT_EQ(
      chat(R"({"model":"m","messages":[{"role":"user","images":["x"]}]})", {}).error().subject(),
      "messages[0].images");
  EXPECT_EQ(chat(R"({"model":"m","think":3})", {}).error().subject(), "think");
  EXPECT_EQ(embed(R"({"model":"m"})", {}).error().subject(), "input");
}

TEST(AnswerRenderer, LinesAndTheLastOne) {
  AnswerRenderer renderer{{.stream = true, .chat = true}};
  renderer.begin({"1", "m", 0});
  renderer.feed(0, domain::Started{3});
  renderer.feed(0, domain::TextDelta{Content{"hi"}});
  renderer.feed(0, domain::ToolCallDelta{0, "c", "f", Content{R"({"a":1})"}});
  renderer.timed(0, {Nanoseconds{9}, Nanoseconds{1}, Nanoseconds{2}, Nanoseconds{6}});
  renderer.feed(0, domain::Finished{domain::FinishReason::length, {3, 0, 2}});
  const auto bytes = renderer.take();
  std::vector<boost::json::value> lines;
  for (auto text = bytes.reveal(); !text.empty();) {
    const auto end = text.find('\n');
    lines.push_back(boost::json::parse(text.substr(0, end)));
    text.remove_prefix(end + 1);
  }
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0].at("message").at("content").as_string(), "hi");
  EXPECT_EQ(lines[0].at("created_at").as_string(), "1970-01-01T00:00:00Z");
  EXPECT_EQ(lines[1]
                .at("message")
                .at("tool_calls")
                .at(0)
                .at("function")
                .at("arguments")
                .at("a")
                .as_int64(),
            1);
  EXPECT_TRUE(lines[2].at("done").as_bool());
  EXPECT_EQ(lines[2].at("done_reason").as_string(), "length");
  EXPECT_EQ(lines[2].at("eval_count").as_int64(), 2);
  EXPECT_EQ(lines[2].at("total_duration").as_int64(), 9);
}

TEST(Ollama, ListsWhatThereIs) {
  const std::array models{domain::ModelInfo{"a:1b", "sha256:00ff", 5, 4096},
                          domain::ModelInfo{"b", "", 0, 0}};
  const auto tags = boost::json::parse(render_tags(models, 0));
  EXPECT_EQ(tags.at("models").as_array().size(), 2u);
  EXPECT_EQ(tags.at("models").at(0).at("digest").as_string(), "00ff");
  const auto loaded = boost::json::parse(render_ps(models, 0));
  EXPECT_EQ(loaded.at("models").as_array().size(), 1u);
  EXPECT_EQ(
      boost::json::parse(kDialect.error(Error{Code::not_found, "no such model"}, {})).at("error"),
      "no such model");
}

}  // namespace
}  // namespace tacit::api::ollama
