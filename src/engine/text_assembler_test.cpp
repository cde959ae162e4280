#include "engine/text_assembler.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "core/text.hpp"

namespace tacit::engine {
namespace {

struct Output {
  std::string text;
  std::string reasoning;
  bool stopped = false;
};

Output run(TextRules rules, const std::vector<std::string>& pieces, std::size_t delta_max = 64) {
  TextAssembler assembler{std::move(rules)};
  Output out;
  const auto collect = [&] {
    while (assembler.has_ready()) {
      auto event = assembler.take_ready(delta_max);
      const bool reasoning = std::holds_alternative<domain::ReasoningDelta>(event);
      const auto text = reasoning ? std::get<domain::ReasoningDelta>(event).text.reveal()
                                  : std::get<domain::TextDelta>(event).text.reveal();
      EXPECT_FALSE(text.empty());
      EXPECT_TRUE(is_utf8(text));
      EXPECT_LE(text.size(), delta_max);
      (reasoning ? out.reasoning : out.text) += text;
    }
  };
  for (const auto& piece : pieces) {
    const bool more = assembler.feed(piece);
    collect();
    if (!more) {
      out.stopped = true;
      break;
    }
  }
  assembler.finish();
  collect();
  return out;
}

TextRules stops(std::initializer_list<const char*> texts) {
  TextRules rules;
  for (const auto* text : texts) rules.stops.emplace_back(text);
  return rules;
}

// Cuts text into random pieces, within characters too.
std::vector<std::string> cut(const std::string& text, std::mt19937& random) {
  std::vector<std::string> pieces;
  for (std::size_t at = 0; at < text.size();) {
    const auto n = std::min<std::size_t>(1 + random() % 4, text.size() - at);
    pieces.push_back(text.substr(at, n));
    at += n;
  }
  return pieces;
}

TEST(TextAssembler, AnyCutGivesTheSameText) {
  std::mt19937 random{3};
  const std::string text = "Grüße, 世界! 🎉 done";
  for (int i = 0; i < 500; ++i) EXPECT_EQ(run({}, cut(text, random), 4 + random() % 20).text, text);
}

TEST(TextAssembler, StopTextsAreMetAcrossPiecesAndNeverShown) {
  std::mt19937 random{4};
  for (int i = 0; i < 500; ++i) {
    const auto out =
        run(stops({"</end>", "STOP"}), cut("some <text> </en ST OP </end> tail STOP", random));
    EXPECT_EQ(out.text, "some <text> </en ST OP ");
    EXPECT_TRUE(out.stopped);
  }
}

TEST(TextAssembler, TheStopThatBeginsFirstWins) {
  EXPECT_EQ(run(stops({"cd", "bcd"}), {"a", "b", "c", "d"}).text, "a");
}

TEST(TextAssembler, HeldTextComesAtTheEnd) {
  const auto out = run(stops({"</end>"}), {"a</", "en"});
  EXPECT_EQ(out.text, "a</en");
  EXPECT_FALSE(out.stopped);
}

TEST(TextAssembler, BrokenCharactersAreReplaced) {
  EXPECT_EQ(run({}, {"a\xff", "b", "\xe4\xb8"}).text,
            "a\xEF\xBF\xBD"
            "b\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST(TextAssembler, ReasoningIsKeptApart) {
  std::mt19937 random{5};
  for (int i = 0; i < 300; ++i) {
    TextRules rules = stops({"END"});
    rules.reasoning_start = "<think>";
    rules.reasoning_ends = {"</think>"};
    const auto out =
        run(std::move(rules), cut("\n<think>END is no stop here</think>answer END no", random));
    EXPECT_EQ(out.reasoning, "END is no stop here");
    EXPECT_EQ(out.text, "answer ");
    rules = {};
    rules.reasoning_start = "<think>";
    rules.reasoning_ends = {"</think>"};
    EXPECT_EQ(run(std::move(rules), cut("<thin air", random)).text, "<thin air");
    rules = {};
    rules.reasoning_start = "<think>";
    rules.reasoning_ends = {"</think>"};
    rules.starts_in_reasoning = true;
    const auto opened = run(std::move(rules), cut("so</think>yes", random));
    EXPECT_EQ(opened.reasoning, "so");
    EXPECT_EQ(opened.text, "yes");
  }
}

TEST(TextAssembler, TokensAreCountedOnce) {
  TextAssembler assembler{stops({"abc"})};
  std::uint32_t n = 0;
  for (const auto* piece : {"a", "b", "x", "long text that is cut into several deltas"}) {
    EXPECT_TRUE(assembler.feed(piece));
    while (assembler.has_ready())
      n += std::get<domain::TextDelta>(assembler.take_ready(8)).num_tokens;
  }
  EXPECT_EQ(n, 4u);
}

}  // namespace
}  // namespace tacit::engine
