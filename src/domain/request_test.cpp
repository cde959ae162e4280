#include "domain/request.hpp"

#include <gtest/gtest.h>

#include <type_traits>

#include "domain/event.hpp"

namespace tacit::domain {
namespace {

static_assert(!std::is_copy_constructible_v<GenerateRequest>, "content is copied only by clone()");
static_assert(!std::is_copy_constructible_v<Message>);
static_assert(!std::is_copy_constructible_v<Event>);
static_assert(std::is_nothrow_move_constructible_v<Content>);

TEST(GenerateRequest, CloneCopiesEveryField) {
  GenerateRequest request;
  request.model = "m";
  request.messages.push_back({Role::system, Content{"be brief"}});
  request.messages.push_back({Role::user, Content{"hi"}});
  request.sampling.seed = 7;
  request.max_tokens = 5;
  request.stop.emplace_back("\n");
  request.tenant = "t";
  request.cache_salt = CacheSalt{1, 2, 3};
  request.purpose = Purpose::count;
  request.text = Content{"raw"};
  request.tokens = std::vector<std::int32_t>{4, 5};
  request.messages.push_back({Role::assistant, {}, Content{"hm"}, {}, "", ""});
  request.messages.back().tool_calls.push_back({"c1", "f", Content{"{}"}});
  request.messages.push_back({Role::tool, Content{"3"}, {}, {}, "c1", "f"});
  request.tools.push_back({"f", Content{"adds"}, Content{R"({"type":"object"})"}});
  request.tool_choice = {ToolUse::required, "f", false};
  request.constraint = {Constraint::Kind::grammar, Content{"root ::= \"a\""}};
  request.reasoning = {Effort::low, 9};
  request.logit_bias.push_back({3, -1.0F});
  request.logprobs = 2;
  request.ignore_end = true;
  request.continue_last = true;
  const auto copy = request.clone();
  ASSERT_EQ(copy.messages.size(), 4u);
  EXPECT_EQ(copy.messages[1].content.reveal(), "hi");
  EXPECT_EQ(copy.messages[0].role, Role::system);
  EXPECT_EQ(copy.sampling.seed, 7u);
  EXPECT_EQ(copy.max_tokens, 5u);
  EXPECT_EQ(copy.stop.at(0).reveal(), "\n");
  EXPECT_EQ(copy.model, "m");
  EXPECT_EQ(copy.tenant, "t");
  EXPECT_EQ(copy.cache_salt, request.cache_salt);
  EXPECT_EQ(copy.purpose, Purpose::count);
  EXPECT_EQ(copy.text->reveal(), "raw");
  EXPECT_EQ(copy.tokens, request.tokens);
  EXPECT_EQ(copy.messages[2].reasoning.reveal(), "hm");
  EXPECT_EQ(copy.messages[2].tool_calls.at(0).name, "f");
  EXPECT_EQ(copy.messages[3].tool_call_id, "c1");
  EXPECT_EQ(copy.messages[3].tool_name, "f");
  EXPECT_EQ(copy.tools.at(0).parameters.reveal(), R"({"type":"object"})");
  EXPECT_EQ(copy.tool_choice.name, "f");
  EXPECT_FALSE(copy.tool_choice.parallel);
  EXPECT_EQ(copy.constraint.text.reveal(), "root ::= \"a\"");
  EXPECT_EQ(copy.reasoning.tokens_max, 9u);
  EXPECT_EQ(copy.logit_bias.at(0).token, 3);
  EXPECT_EQ(copy.logprobs, 2u);
  EXPECT_TRUE(copy.ignore_end);
  EXPECT_TRUE(copy.continue_last);
}

TEST(WithDefaults, FillsOnlyWhatIsOpen) {
  Sampling wanted;
  wanted.temperature = 0.0F;
  Sampling defaults;
  defaults.temperature = 0.2F;
  defaults.top_p = 0.9F;
  const auto filled = with_defaults(wanted, defaults);
  EXPECT_EQ(filled.temperature, 0.0F);
  EXPECT_EQ(filled.top_p, 0.9F);
  EXPECT_FALSE(filled.top_k);
}

TEST(Event, OnlyFinishedAndFailedAreLast) {
  EXPECT_TRUE(is_last(Finished{}));
  EXPECT_TRUE(is_last(Failed{Error{Code::worker_lost, "engine worker ended"}}));
  EXPECT_FALSE(is_last(Started{}));
  EXPECT_FALSE(is_last(TextDelta{Content{"x"}}));
}

}  // namespace
}  // namespace tacit::domain
