#include "api/openai/chat_client.hpp"

#include <gtest/gtest.h>

#include "api/openai/chat.hpp"

namespace tacit::api::openai {
namespace {

domain::GenerateRequest chat() {
  domain::GenerateRequest request;
  request.model = "smollm2:135m";
  request.messages.push_back({domain::Role::system, domain::Content{"Be brief."}});
  request.messages.push_back({domain::Role::user, domain::Content{"\"Why?\"\n\x01"}});
  request.sampling.temperature = 0.25F;
  request.sampling.seed = 4'000'000'000;
  request.max_tokens = 7;
  request.stop.emplace_back("END");
  return request;
}

TEST(ChatClient, WritesWhatTheServerReads) {
  const auto body = chat_body(chat());
  ASSERT_TRUE(body);
  const auto read = parse_chat(body->reveal());
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_TRUE(read->stream);
  EXPECT_TRUE(read->include_usage);
  EXPECT_EQ(read->num_unknown_fields, 0u);
  const auto& back = read->generate;
  EXPECT_EQ(back.model, "smollm2:135m");
  ASSERT_EQ(back.messages.size(), 2u);
  EXPECT_EQ(back.messages[0].role, domain::Role::system);
  EXPECT_EQ(back.messages[1].content.reveal(), "\"Why?\"\n\x01");
  EXPECT_EQ(back.sampling.temperature, 0.25F);
  EXPECT_EQ(back.sampling.seed, 4'000'000'000);
  EXPECT_EQ(back.max_tokens, 7u);
  ASSERT_EQ(back.stop.size(), 1u);
  EXPECT_EQ(back.stop[0].reveal(), "END");
}

TEST(ChatClient, RefusesWhatItCannotSay) {
  auto request = chat();
  request.tools.emplace_back();
  EXPECT_EQ(chat_body(request).error().code(), Code::unsupported);
}

TEST(ChatClient, ReadsWhatTheServerWrites) {
  ChatRenderer renderer{{.stream = true, .include_usage = true}};
  renderer.begin({});
  const domain::Event events[] = {domain::Started{3}, domain::TextDelta{domain::Content{"Be"}},
                                  domain::TextDelta{domain::Content{"cause"}},
                                  domain::Finished{domain::FinishReason::length, {3, 0, 2}, {}}};
  for (const auto& event : events) renderer.feed(0, event);
  const auto wire = renderer.take();
  ChatStream stream;
  domain::EventBatch back;
  auto rest = wire.reveal();
  while (!rest.empty()) {
    const auto end = rest.find("\n\n");
    ASSERT_NE(end, std::string_view::npos);
    ASSERT_TRUE(rest.starts_with("data: "));
    ASSERT_TRUE(stream.feed(rest.substr(6, end - 6), back)) << rest;
    rest.remove_prefix(end + 2);
  }
  EXPECT_TRUE(stream.finished());
  std::string text;
  for (const auto& event : back) {
    if (const auto* delta = std::get_if<domain::TextDelta>(&event)) text += delta->text.reveal();
  }
  EXPECT_EQ(text, "Because");
  ASSERT_FALSE(back.empty());
  const auto* finished = std::get_if<domain::Finished>(&back.back());
  ASSERT_NE(finished, nullptr);
  EXPECT_EQ(finished->reason, domain::FinishReason::length);
  EXPECT_EQ(finished->usage.prompt_tokens, 3u);
  EXPECT_EQ(finished->usage.completion_tokens, 2u);
}

TEST(ChatClient, AnErrorInTheStreamEndsIt) {
  ChatStream stream;
  domain::EventBatch out;
  ASSERT_TRUE(stream.feed(R"({"error":{"message":"worker\u001b[2J lost"}})", out));
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(std::get<domain::Failed>(out[0]).error.subject(), "worker[2J lost");
  EXPECT_TRUE(stream.finished());
}

TEST(ChatClient, RefusesOtherStreams) {
  for (const auto* bad :
       {"", "{", "[]", R"({"choices":3})", R"({"choices":[3]})", R"({"choices":[{"delta":[]}]})",
        R"({"choices":[{"delta":{"content":1}}]})"}) {
    ChatStream stream;
    domain::EventBatch out;
    EXPECT_FALSE(stream.feed(bad, out)) << bad;
  }
}

TEST(ChatClient, SaysErrorsInTheServersWords) {
  const auto error = chat_error(404, R"({"error":{"message":"model not found: x"}})");
  EXPECT_EQ(error.code(), Code::not_found);
  EXPECT_EQ(error.subject(), "model not found: x");
  EXPECT_EQ(chat_error(401, "").code(), Code::unauthenticated);
  EXPECT_EQ(chat_error(500, "<html>").code(), Code::unavailable);
}

}  // namespace
}  // namespace tacit::api::openai
