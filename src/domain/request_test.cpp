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
  const auto copy = request.clone();
  ASSERT_EQ(copy.messages.size(), 2u);
  EXPECT_EQ(copy.messages[1].content.reveal(), "hi");
  EXPECT_EQ(copy.messages[0].role, Role::system);
  EXPECT_EQ(copy.sampling.seed, 7u);
  EXPECT_EQ(copy.max_tokens, 5u);
  EXPECT_EQ(copy.stop.at(0).reveal(), "\n");
  EXPECT_EQ(copy.model, "m");
  EXPECT_EQ(copy.tenant, "t");
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
