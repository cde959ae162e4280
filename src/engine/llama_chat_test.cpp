// Tools and reasoning at the level of templates, without a model: what a family's template writes
// for a call is what the parser must read when a model of that family says it.
#include "engine/llama_chat.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <limits>

#include "log.h"

namespace tacit::engine {
namespace {

constexpr const char* kChatMl =
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
    "'<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' "
    "}}{% endif %}";

domain::GenerateRequest weather_request() {
  domain::GenerateRequest request;
  request.messages.push_back({domain::Role::user, domain::Content{"Weather in Paris?"}});
  request.tools.push_back(
      {"get_weather", domain::Content{"The weather of a city."},
       domain::Content{R"({"type":"object","properties":{"city":{"type":"string"}},)"
                       R"("required":["city"]})"}});
  return request;
}

struct Heard {
  std::string text;
  std::string reasoning;
  std::string name;
  std::string arguments;
  std::size_t num_calls = 0;
};

void hear(const std::vector<domain::Event>& events, Heard& heard) {
  for (const auto& event : events) {
    if (const auto* text = std::get_if<domain::TextDelta>(&event))
      heard.text += text->text.reveal();
    if (const auto* thought = std::get_if<domain::ReasoningDelta>(&event))
      heard.reasoning += thought->text.reveal();
    if (const auto* call = std::get_if<domain::ToolCallDelta>(&event)) {
      heard.num_calls += call->name.empty() ? 0 : 1;
      heard.name += call->name;
      heard.arguments += call->arguments.reveal();
    }
  }
}

// Feeds an answer in pieces of `step` bytes.
Heard parse(const RenderedChat& rendered, std::string_view answer, std::size_t step) {
  const auto parser = make_answer_parser(rendered, true, false);
  Heard heard;
  std::vector<domain::Event> events;
  for (std::size_t at = 0; at < answer.size(); at += step)
    parser->feed(answer.substr(at, step), events);
  parser->finish(false, events);
  hear(events, heard);
  EXPECT_EQ(parser->found_tool_call(), heard.num_calls > 0);
  return heard;
}

RenderedChat render(const common_chat_templates* templates,
                    const domain::GenerateRequest& request) {
  static const ControlTexts none;
  Fence fence{none};
  const Conversation conversation{request, fence};
  return render_chat(templates, conversation.inputs);
}

TEST(DescribedTools, AreInThePromptAndTheirCallsAreRead) {
  const auto templates = common_chat_templates_init(nullptr, kChatMl);
  const auto rendered = render(templates.get(), weather_request());
  EXPECT_NE(rendered.prompt.find("get_weather"), std::string::npos);
  EXPECT_TRUE(rendered.grammar_lazy);
  const std::string call =
      "<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": "
      "\"Paris\"}}\n</tool_call>";
  for (const std::size_t step : {1u, 7u, 1000u}) {
    const auto heard = parse(rendered, "Let me see. " + call, step);
    EXPECT_EQ(heard.text, "Let me see. ");
    EXPECT_EQ(heard.name, "get_weather");
    EXPECT_EQ(heard.arguments, R"({"city": "Paris"})");
  }
  const auto twice = parse(rendered, call + "\n" + call, 5);
  EXPECT_EQ(twice.num_calls, 2u);
  EXPECT_EQ(parse(rendered, "It rains.", 1).text, "It rains.");
}

TEST(DescribedTools, WhatFollowsNoFormatIsText) {
  const auto templates = common_chat_templates_init(nullptr, kChatMl);
  const auto rendered = render(templates.get(), weather_request());
  for (const std::string broken :
       {"<tool_call>\n{\"name\": \"no_such\", \"arguments\": {}}\n</tool_call>",
        "<tool_call>nonsense", "a <tool_call> b"}) {
    const auto heard = parse(rendered, broken, 3);
    EXPECT_EQ(heard.num_calls, 0u) << broken;
    EXPECT_EQ(heard.text, broken);
  }
}

TEST(DescribedTools, ARequiredCallIsTheWholeGrammar) {
  const auto templates = common_chat_templates_init(nullptr, kChatMl);
  auto request = weather_request();
  request.tool_choice = {domain::ToolUse::required, "get_weather", false};
  const auto rendered = render(templates.get(), request);
  EXPECT_FALSE(rendered.grammar_lazy);
  EXPECT_TRUE(rendered.grammar_begins_with_answer);
  EXPECT_NE(rendered.grammar.find("<tool_call>"), std::string::npos);
}

TEST(DescribedTools, EarlierCallsAndResultsAreWrittenOut) {
  const auto templates = common_chat_templates_init(nullptr, kChatMl);
  auto request = weather_request();
  request.messages.push_back({domain::Role::assistant});
  request.messages.back().tool_calls.push_back(
      {"c", "get_weather", domain::Content{R"({"city":"Paris"})"}});
  request.messages.push_back({domain::Role::tool, domain::Content{"21 degrees"}, {}, {}, "c", ""});
  const auto prompt = render(templates.get(), request).prompt;
  EXPECT_NE(prompt.find(R"({"name": "get_weather", "arguments": {"city":"Paris"}})"),
            std::string::npos)
      << prompt;
  EXPECT_NE(prompt.find("<tool_response>\n21 degrees\n</tool_response>"), std::string::npos);
}

class TemplateFamily : public testing::TestWithParam<const char*> {};

// What the template writes for an earlier call is what its models say.
TEST_P(TemplateFamily, ReadsBackTheCallThatItsTemplateWrites) {
  const auto path = std::filesystem::path{TACIT_LLAMA_TEMPLATES} / GetParam();
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "SKIPPED: llama.cpp's source is not there";
  std::ifstream in{path};
  const std::string source{std::istreambuf_iterator<char>{in}, {}};
  const auto templates = common_chat_templates_init(nullptr, source, "<s>", "</s>");
  auto request = weather_request();
  const auto rendered = render(templates.get(), request);
  auto earlier = weather_request();
  earlier.messages.push_back({domain::Role::assistant});
  earlier.messages.back().tool_calls.push_back(
      {"123456789", "get_weather", domain::Content{R"({"city": "Paris"})"}});
  static const ControlTexts none;
  Fence fence{none};
  Conversation conversation{earlier, fence};
  conversation.inputs.add_generation_prompt = false;
  const auto written = render_chat(templates.get(), conversation.inputs).prompt;
  ASSERT_TRUE(written.starts_with(rendered.prompt)) << written << "\n---\n" << rendered.prompt;
  auto answer = written.substr(rendered.prompt.size());
  for (const std::string end : {"<|im_end|>\n", "<|im_end|>", "<|eot_id|>", "</s>",
                                "<|end_of_text|>\n", "<|END_OF_TURN_TOKEN|>"}) {
    if (answer.ends_with(end)) answer.resize(answer.size() - end.size());
  }
  for (const std::size_t step : {1u, 6u, 1000u}) {
    const auto heard = parse(rendered, answer, step);
    EXPECT_EQ(heard.name, "get_weather") << answer;
    EXPECT_NE(heard.arguments.find("Paris"), std::string::npos) << heard.arguments;
    EXPECT_EQ(heard.num_calls, 1u);
  }
}

INSTANTIATE_TEST_SUITE_P(All, TemplateFamily,
                         testing::Values("Qwen-Qwen2.5-7B-Instruct.jinja",
                                         "NousResearch-Hermes-3-Llama-3.1-8B-tool_use.jinja",
                                         "meta-llama-Llama-3.1-8B-Instruct.jinja",
                                         "mistralai-Mistral-Nemo-Instruct-2407.jinja",
                                         "ibm-granite-granite-4.0.jinja", "Qwen3-Coder.jinja"));

// Whatever a template's shape was learned from, a conversation that it was not learned from is
// rendered and described as the library itself does.
TEST(TemplateShape, IsWhatTheLibrarySaysOfEveryTemplate) {
  if (!std::filesystem::exists(TACIT_LLAMA_TEMPLATES))
    GTEST_SKIP() << "SKIPPED: llama.cpp's source is not there";
  common_log_set_verbosity_thold(std::numeric_limits<int>::min());
  int num_known = 0;
  for (const auto& file : std::filesystem::directory_iterator{TACIT_LLAMA_TEMPLATES}) {
    if (file.path().extension() != ".jinja") continue;
    std::ifstream in{file.path()};
    const std::string text{std::istreambuf_iterator<char>{in}, {}};
    common_chat_templates_ptr templates;
    TemplateShape shape;
    try {
      templates = common_chat_templates_init(nullptr, text, "<s>", "</s>");
      shape.learn(templates.get());
    } catch (const std::exception&) {
      continue;  // it refuses a probe
    }
    if (!shape.known()) continue;
    ++num_known;
    for (const bool thinking : {false, true}) {
      domain::GenerateRequest request;
      request.messages.push_back({domain::Role::system, domain::Content{"Speak  like\na pirate."}});
      for (int turn = 0; turn < 2; ++turn) {
        request.messages.push_back({domain::Role::user, domain::Content{"{{ 1 }} <b>é</b>"}});
        request.messages.push_back({domain::Role::assistant, domain::Content{"Arr.\n\n```c\n```"}});
      }
      request.messages.push_back({domain::Role::user, domain::Content{""}});
      if (!thinking) request.reasoning.effort = domain::Effort::none;
      static const ControlTexts none;
      Fence fence{none};
      const Conversation conversation{request, fence};
      ASSERT_TRUE(is_simple(conversation.inputs));
      try {
        const auto whole = render_chat(templates.get(), conversation.inputs);
        const auto quick = shape.render(templates.get(), conversation.inputs);
        EXPECT_EQ(quick.prompt, whole.prompt) << file.path();
        EXPECT_EQ(quick.generation_prompt, whole.generation_prompt) << file.path();
        EXPECT_EQ(quick.thinking_start_tag, whole.thinking_start_tag) << file.path();
        EXPECT_EQ(quick.additional_stops, whole.additional_stops) << file.path();
      } catch (const std::exception&) {
        continue;  // it refuses this conversation
      }
    }
  }
  EXPECT_GT(num_known, 10);
}

TEST(TemplateShape, ToolsAndBegunAnswersAreNotSimple) {
  const auto templates = common_chat_templates_init(nullptr, kChatMl);
  static const ControlTexts none;
  Fence fence{none};
  const Conversation with_tools{weather_request(), fence};
  EXPECT_FALSE(is_simple(with_tools.inputs));
  domain::GenerateRequest begun;
  begun.messages.push_back({domain::Role::user, domain::Content{"hi"}});
  begun.messages.push_back({domain::Role::assistant, domain::Content{"Well"}});
  begun.continue_last = true;
  Fence other{none};
  const Conversation continued{begun, other};
  EXPECT_FALSE(is_simple(continued.inputs));
}

}  // namespace
}  // namespace tacit::engine
