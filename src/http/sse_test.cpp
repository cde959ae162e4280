#include "http/sse.hpp"

#include <vector>

#include <gtest/gtest.h>

namespace tacit::http {
namespace {

using Events = std::vector<std::pair<std::string, std::string>>;

Events parse(std::string_view text, std::size_t step) {
  SseParser parser;
  Events events;
  for (std::size_t at = 0; at < text.size(); at += step) {
    EXPECT_TRUE(parser.feed(text.substr(at, step)));
    while (auto event = parser.next()) events.emplace_back(event->name, event->data.reveal());
  }
  return events;
}

TEST(Sse, AllLineEndsInAnyCut) {
  const std::string text =
      "\xEF\xBB\xBF: comment\n\ndata: one\n\nevent: x\rdata:two\rdata:  three\r\rdata: four\r\n\r\n"
      "id: 7\nretry: 1\ndata\n\nevent: lost\n\ndata: never ended\n";
  const Events expected{{"", "one"}, {"x", "two\n three"}, {"", "four"}, {"", ""}};
  for (std::size_t step = 1; step <= text.size(); ++step)
    EXPECT_EQ(parse(text, step), expected) << step;
}

TEST(Sse, EncodeAndParseAreInverse) {
  SecretText wire;
  append_sse_event(wire, "message", "a\nb\r\nc\rd");
  append_sse_event(wire, "", "");
  append_sse_event(wire, "", " padded");
  const Events expected{{"message", "a\nb\nc\nd"}, {"", ""}, {"", " padded"}};
  EXPECT_EQ(parse(wire.reveal(), 3), expected);
}

TEST(Sse, BoundsOneEventNotTheStream) {
  SseParser parser{20};
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(parser.feed("data: 0123456789\n\n"));
  const auto line = SseParser{20}.feed("data: 0123456789abcdef");
  ASSERT_FALSE(line);
  EXPECT_EQ(line.error().code(), Code::too_large);
  EXPECT_FALSE(SseParser{20}.feed("data: 01234\ndata: 56789abcdef\n\n"));
  EXPECT_FALSE(SseParser{20}.feed(": comments count, too, so that none is endless"));
}

}  // namespace
}  // namespace tacit::http
