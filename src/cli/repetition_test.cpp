#include "cli/repetition.hpp"

#include <random>
#include <string>

#include <gtest/gtest.h>

namespace tacit::cli {
namespace {

std::string times(std::string_view phrase, std::size_t n) {
  std::string text;
  while (n-- > 0) text += phrase;
  return text;
}

std::string prose(std::mt19937& random, std::size_t bytes) {
  std::string text;
  while (text.size() < bytes) text += static_cast<char>('a' + random() % 26);
  return text;
}

TEST(Repetition, FindsALoopAtTheEnd) {
  // As SmolLM2 135M said them.
  EXPECT_TRUE(repeats_itself("L'Étoile, la Cité" + times(", la France", 40)));
  EXPECT_TRUE(repeats_itself("1. 1" + times(".1", 200)));
  EXPECT_TRUE(repeats_itself(times("A gentle rain, a gentle rain\n", 12)));
  // Half a phrase more changes nothing.
  EXPECT_TRUE(repeats_itself(times("A gentle rain, a gentle rain\n", 12) + "A gentle r"));
}

TEST(Repetition, LeavesOrdinaryAnswersAlone) {
  EXPECT_FALSE(repeats_itself(""));
  EXPECT_FALSE(repeats_itself("Red, green and blue."));
  EXPECT_FALSE(repeats_itself(times("-", 120)));
  EXPECT_FALSE(repeats_itself("| " + times("--- | ", 20)));
  EXPECT_FALSE(repeats_itself(times("No. ", 30)));
  std::string counted;
  for (int i = 0; i < 500; ++i) counted += std::to_string(i) + ", ";
  EXPECT_FALSE(repeats_itself(counted));
}

TEST(Repetition, IsOverOnceSomethingElseIsSaid) {
  EXPECT_FALSE(repeats_itself(times("la France, ", 100) + "and Spain."));
}

// For any phrase: three times is speech, four times or 240 bytes a loop.
TEST(Repetition, HoldsForRandomPhrases) {
  std::mt19937 random{7};
  for (int i = 0; i < 300; ++i) {
    const auto phrase = prose(random, 60 + random() % 261);
    const auto before = prose(random, random() % 100);
    EXPECT_TRUE(repeats_itself(before + times(phrase, 4))) << phrase.size();
    EXPECT_FALSE(repeats_itself(before + times(phrase, 3))) << phrase.size();
    auto changed = before + times(phrase, 4);
    changed[changed.size() - 1 - random() % (2 * phrase.size())] = '#';
    EXPECT_FALSE(repeats_itself(changed)) << phrase.size();
  }
}

}  // namespace
}  // namespace tacit::cli
