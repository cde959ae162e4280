#include <gtest/gtest.h>

#include <string>

#include "api/openai/chat.hpp"

namespace tacit::api::openai {
namespace {

std::string with(std::string_view extra) {
  return std::string{R"({"model":"m","messages":[{"role":"user","content":"hi"}])"} +
         std::string{extra} + "}";
}

TEST(ParseChat, ReadsEveryOfferedField) {
  const auto parsed = parse_chat(
      R"({"model":"m","messages":[{"role":"developer","content":"s"},
          {"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},
          {"role":"assistant","content":null}],
          "stream":true,"stream_options":{"include_usage":true},"temperature":0,"top_p":0.5,"min_p":0.1,
          "top_k":5,"frequency_penalty":1,"presence_penalty":-1,"seed":42,"max_tokens":9,
          "max_completion_tokens":8,"stop":["x","y"],"n":1,"user":"u","whatever":1})");
  ASSERT_TRUE(parsed) << parsed.error().message();
  const auto& g = parsed->generate;
  EXPECT_EQ(g.model, "m");
  ASSERT_EQ(g.messages.size(), 3u);
  EXPECT_EQ(g.messages[0].role, domain::Role::system);
  EXPECT_EQ(g.messages[1].content.reveal(), "ab");
  EXPECT_EQ(g.messages[2].role, domain::Role::assistant);
  EXPECT_TRUE(g.messages[2].content.empty());
  EXPECT_TRUE(parsed->stream);
  EXPECT_TRUE(parsed->include_usage);
  EXPECT_EQ(g.sampling.temperature, 0.0F);
  EXPECT_EQ(g.sampling.top_p, 0.5F);
  EXPECT_EQ(g.sampling.top_k, 5);
  EXPECT_EQ(g.sampling.seed, 42u);
  EXPECT_EQ(g.max_tokens, 8u);
  ASSERT_EQ(g.stop.size(), 2u);
  EXPECT_EQ(g.stop[1].reveal(), "y");
  EXPECT_EQ(parsed->num_unknown_fields, 1u);
}

TEST(ParseChat, NullMeansAbsent) {
  const auto parsed = parse_chat(
      with(R"(,"stream":null,"temperature":null,"stop":null,"seed":null,"tools":null,"n":null,
                                          "max_tokens":null,"response_format":null,"tool_choice":null)"));
  ASSERT_TRUE(parsed) << parsed.error().message();
  EXPECT_FALSE(parsed->stream);
  EXPECT_FALSE(parsed->generate.sampling.temperature);
  EXPECT_FALSE(parsed->generate.max_tokens);
}

struct Refusal {
  std::string body;
  Code code;
  std::string subject;
};

TEST(ParseChat, RefusesAndNamesTheField) {
  const Refusal refusals[] = {
      {"", Code::malformed, ""},
      {"{", Code::malformed, ""},
      {"[]", Code::invalid_argument, ""},
      {"{}", Code::invalid_argument, "model"},
      {R"({"model":5})", Code::invalid_argument, "model"},
      {R"({"model":"m"})", Code::invalid_argument, "messages"},
      {R"({"model":"m","messages":[]})", Code::invalid_argument, "messages"},
      {R"({"model":"m","messages":{}})", Code::invalid_argument, "messages"},
      {R"({"model":"m","messages":[1]})", Code::invalid_argument, "messages[0]"},
      {R"({"model":"m","messages":[{"content":"x"}]})", Code::invalid_argument, "messages[0].role"},
      {R"({"model":"m","messages":[{"role":"king","content":"x"}]})", Code::invalid_argument,
       "messages[0].role"},
      {R"({"model":"m","messages":[{"role":"user"}]})", Code::invalid_argument,
       "messages[0].content"},
      {R"({"model":"m","messages":[{"role":"user","content":7}]})", Code::invalid_argument,
       "messages[0].content"},
      {R"({"model":"m","messages":[{"role":"user","content":[{"type":"image_url"}]}]})",
       Code::unsupported, "messages[0].content[0].type"},
      {with(R"(,"temperature":3)"), Code::invalid_argument, "temperature"},
      {with(R"(,"temperature":"hot")"), Code::invalid_argument, "temperature"},
      {with(R"(,"temperature":NaN)"), Code::malformed, ""},
      {with(R"(,"max_tokens":0)"), Code::invalid_argument, "max_tokens"},
      {with(R"(,"max_tokens":1.5)"), Code::invalid_argument, "max_tokens"},
      {with(R"(,"seed":18446744073709551615)"), Code::invalid_argument, "seed"},
      {with(R"(,"stop":"")"), Code::invalid_argument, "stop"},
      {with(R"(,"stop":[1])"), Code::invalid_argument, "stop"},
      {with(R"(,"stream":"yes")"), Code::invalid_argument, "stream"},
      {with(R"(,"stream_options":{"include_usage":true})"), Code::invalid_argument,
       "stream_options"},
      {with(R"(,"n":0)"), Code::invalid_argument, "n"},
      {with(R"(,"n":129)"), Code::invalid_argument, "n"},
      {with(R"(,"tools":[{"type":"function"}])"), Code::invalid_argument, "tools[0].function"},
      {with(R"(,"tools":[{"type":"custom","custom":{"name":"x"}}])"), Code::unsupported,
       "tools[0].type"},
      {with(R"(,"tools":[{"type":"function","function":{"name":""}}])"), Code::invalid_argument,
       "tools[0].function.name"},
      {with(R"(,"tool_choice":"required")"), Code::invalid_argument, "tool_choice"},
      {with(R"(,"tool_choice":"sometimes")"), Code::invalid_argument, "tool_choice"},
      {with(R"(,"tools":[{"type":"function","function":{"name":"a"}}],)"
            R"("tool_choice":{"type":"function","function":{"name":"b"}})"),
       Code::invalid_argument, "tool_choice"},
      {with(R"(,"response_format":{"type":"xml"})"), Code::invalid_argument,
       "response_format.type"},
      {with(R"(,"response_format":{"type":"json_schema"})"), Code::invalid_argument,
       "response_format.json_schema"},
      {with(R"(,"response_format":{"type":"json_schema","json_schema":{"name":"x"}})"),
       Code::invalid_argument, "response_format.json_schema.schema"},
      {with(R"(,"top_logprobs":3)"), Code::invalid_argument, "top_logprobs"},
      {with(R"(,"logprobs":true,"top_logprobs":21)"), Code::invalid_argument, "top_logprobs"},
      {with(R"(,"logit_bias":{"x":1})"), Code::invalid_argument, "logit_bias"},
      {with(R"(,"logit_bias":{"5":101})"), Code::invalid_argument, "logit_bias"},
      {with(R"(,"reasoning_effort":"extreme")"), Code::invalid_argument, "reasoning_effort"},
      {with(R"(,"chat_template_kwargs":{"x":1})"), Code::unsupported, "chat_template_kwargs"},
      {with(R"(,"modalities":["audio"])"), Code::unsupported, "modalities"},
      {with(R"(} trailing)"), Code::malformed, ""},
  };
  for (const auto& refusal : refusals) {
    const auto parsed = parse_chat(refusal.body);
    ASSERT_FALSE(parsed) << refusal.body;
    EXPECT_EQ(parsed.error().code(), refusal.code)
        << refusal.body << ": " << parsed.error().message();
    EXPECT_EQ(parsed.error().subject(), refusal.subject) << refusal.body;
  }
}

TEST(ParseChat, ReadsToolsAndEarlierCalls) {
  const auto parsed = parse_chat(R"({"model":"m","messages":[
    {"role":"user","content":"add"},
    {"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function",
      "function":{"name":"add","arguments":"{\"a\":1}"}}]},
    {"role":"tool","tool_call_id":"c1","content":[{"type":"text","text":"3"}]}],
    "tools":[{"type":"function","function":{"name":"add","description":"Adds.",
      "parameters":{"type":"object","properties":{"a":{"type":"integer"}}},"strict":true}}],
    "tool_choice":{"type":"function","function":{"name":"add"}},"parallel_tool_calls":false,
    "logprobs":true,"top_logprobs":2,"logit_bias":{"5":-100},"n":2,"reasoning_effort":"low",
    "response_format":{"type":"text"}})");
  ASSERT_TRUE(parsed) << parsed.error().message();
  const auto& generate = parsed->generate;
  ASSERT_EQ(generate.messages.size(), 3u);
  EXPECT_EQ(generate.messages[1].tool_calls.at(0).name, "add");
  EXPECT_EQ(generate.messages[1].tool_calls[0].arguments.reveal(), R"({"a":1})");
  EXPECT_EQ(generate.messages[2].role, domain::Role::tool);
  EXPECT_EQ(generate.messages[2].tool_call_id, "c1");
  EXPECT_EQ(generate.tools.at(0).parameters.reveal(),
            R"({"type":"object","properties":{"a":{"type":"integer"}}})");
  EXPECT_EQ(generate.tool_choice.use, domain::ToolUse::required);
  EXPECT_EQ(generate.tool_choice.name, "add");
  EXPECT_FALSE(generate.tool_choice.parallel);
  EXPECT_EQ(generate.logprobs, 2u);
  EXPECT_EQ(generate.logit_bias.at(0).token, 5);
  EXPECT_EQ(generate.reasoning.effort, domain::Effort::low);
  EXPECT_EQ(generate.constraint.kind, domain::Constraint::Kind::none);
  EXPECT_EQ(parsed->num_choices, 2u);
  EXPECT_EQ(parsed->num_unknown_fields, 0u);
}

TEST(ParseChat, ReadsFormats) {
  const auto object = parse_chat(with(R"(,"response_format":{"type":"json_object"})"));
  EXPECT_EQ(object->generate.constraint.text.reveal(), R"({"type":"object"})");
  const auto schema = parse_chat(with(
      R"(,"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"type":"null"}}})"));
  EXPECT_EQ(schema->generate.constraint.text.reveal(), R"({"type":"null"})");
}

TEST(ParseChat, InvalidUtf8IsMalformed) {
  EXPECT_EQ(parse_chat("{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"\xFF\"}]}")
                .error()
                .code(),
            Code::malformed);
}

TEST(ParseChat, LimitsAreNamed) {
  Limits limits;
  limits.body_bytes_max = 10;
  EXPECT_EQ(parse_chat(with(""), limits).error().value("limit"), 10);
  limits = {};
  limits.messages_max = 1;
  const auto two = parse_chat(
      R"({"model":"m","messages":[{"role":"user","content":"a"},{"role":"user","content":"b"}]})",
      limits);
  EXPECT_EQ(two.error().code(), Code::too_large);
  std::string deep = R"({"model":"m","messages":)";
  for (int i = 0; i < 100; ++i) deep += '[';
  EXPECT_EQ(parse_chat(deep).error().code(), Code::too_large);
}

TEST(ParseChat, ManySmallValuesAreRefusedBeforeTheyAreStored) {
  std::string many = R"({"x":[1)";
  for (int i = 0; i < 600'000; ++i) many += ",1";
  const auto refused = parse_chat(many + "]}");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::too_large);
  EXPECT_EQ(refused.error().value("values"), 600'003);
  // Commas inside strings are text.
  const std::string commas(600'000, ',');
  const auto text = parse_chat(R"({"model":"m","messages":[{"role":"user","content":"\\\"{[:)" +
                               commas + "\"}]}");
  ASSERT_TRUE(text) << text.error().message();
}

TEST(ParseChat, TheLastOfDuplicateKeysCounts) {
  EXPECT_EQ(parse_chat(with(R"(,"model":"other")"))->generate.model, "other");
}

TEST(ParseChat, EmptyToolsAreNoTools) {
  EXPECT_TRUE(parse_chat(with(
      R"(,"tools":[],"tool_choice":"auto","logprobs":false,"logit_bias":{},"modalities":["text"])")));
}

}  // namespace
}  // namespace tacit::api::openai
