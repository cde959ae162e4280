#include "cli/chat_commands.hpp"

#include <gtest/gtest.h>

#include <string>

namespace tacit::cli {
namespace {

TEST(Chat, SurvivesAFile) {
  std::vector<domain::Message> history;
  history.push_back({domain::Role::system, domain::Content{"Be brief."}});
  history.push_back({domain::Role::user, domain::Content{"user 3\nabc\n\ntwo lines"}});
  history.push_back({domain::Role::assistant, domain::Content{""}});
  const auto text = chat_text(history);
  const auto again = parse_chat(text.reveal());
  ASSERT_TRUE(again);
  ASSERT_EQ(again->size(), 3u);
  EXPECT_EQ((*again)[1].role, domain::Role::user);
  EXPECT_EQ((*again)[1].content.reveal(), "user 3\nabc\n\ntwo lines");
  EXPECT_TRUE(chat_text(*again).reveal() == text.reveal());
  const std::string whole{text.reveal()};
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto cut = parse_chat(std::string_view{whole}.substr(0, size));
    EXPECT_TRUE(!cut || cut->size() < 3) << size;
  }
}

TEST(Chat, RefusesDamage) {
  for (const char* odd :
       {"", "x", "tacit-chat 2\n", "tacit-chat 1\nuser\n", "tacit-chat 1\nuser 9\nab\n",
        "tacit-chat 1\nroot 1\na\n", "tacit-chat 1\nuser 1\nab\n",
        "tacit-chat 1\nuser 99999999999999999999\na\n", "tacit-chat 1\nuser 1\n\xFF\n"}) {
    EXPECT_FALSE(parse_chat(odd)) << odd;
  }
}

}  // namespace
}  // namespace tacit::cli
