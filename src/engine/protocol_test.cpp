#include "engine/protocol.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "engine/wire_error.hpp"

namespace tacit::engine {
namespace {

BytesView body(const SecretBytes& frame) { return frame.reveal().subspan(4); }

domain::GenerateRequest full_request() {
  domain::GenerateRequest request;
  request.model = "smollm2:135m";
  request.tenant = "t-1";  // stays in the front
  request.cache_salt = domain::CacheSalt{9, 8, 7};
  request.tenant_weight = 3;
  request.messages.push_back({domain::Role::system, domain::Content{"Be brief."}});
  request.messages.push_back({domain::Role::user, domain::Content{"Grüße, 世界"}});
  request.sampling = {.temperature = 0.5f,
                      .top_p = 0.9f,
                      .min_p = 0.1f,
                      .top_k = 7,
                      .frequency_penalty = -1.0f,
                      .presence_penalty = 1.5f,
                      .seed = 42u};
  request.max_tokens = 17;
  request.stop.emplace_back("\n\n");
  request.sampling.mirostat_eta = 0.25f;
  request.messages.push_back({domain::Role::assistant, {}, domain::Content{"hm"}, {}, "", ""});
  request.messages.back().tool_calls.push_back({"c", "add", domain::Content{R"({"a":1})"}});
  request.messages.push_back({domain::Role::tool, domain::Content{"2"}, {}, {}, "c", "add"});
  request.tools.push_back({"add", domain::Content{"Adds."}, domain::Content{"{}"}});
  request.tool_choice = {domain::ToolUse::required, "add", false};
  request.constraint = {domain::Constraint::Kind::json_schema, domain::Content{"{}"}};
  request.reasoning = {domain::Effort::low, 100u};
  request.logit_bias.push_back({5, -100.0f});
  request.logprobs = 3;
  request.ignore_end = true;
  request.text = domain::Content{"raw"};
  request.tokens = std::vector<std::int32_t>{1, 2, 3};
  return request;
}

bool same_bytes(const SecretBytes& a, const SecretBytes& b) {
  return std::ranges::equal(a.reveal(), b.reveal());
}

TEST(Protocol, GenerateComesBackWhole) {
  const auto frame = encode_command(Generate{7, 64, full_request(), 1500});
  auto decoded = decode_command(body(frame));
  ASSERT_TRUE(decoded) << decoded.error().message();
  const auto& generate = std::get<Generate>(*decoded);
  EXPECT_EQ(generate.id, 7u);
  EXPECT_EQ(generate.time_ms, 1500u);
  EXPECT_EQ(generate.request.tenant_weight, 3u);
  EXPECT_EQ(generate.request.messages[1].content.reveal(), "Grüße, 世界");
  EXPECT_EQ(generate.request.sampling.top_k, 7);
  EXPECT_EQ(generate.request.sampling.seed, 42u);
  EXPECT_EQ(generate.request.max_tokens, 17u);
  EXPECT_EQ(generate.request.messages[2].tool_calls.at(0).arguments.reveal(), R"({"a":1})");
  EXPECT_EQ(generate.request.tools.at(0).name, "add");
  EXPECT_EQ(generate.request.tool_choice.use, domain::ToolUse::required);
  EXPECT_EQ(generate.request.reasoning.tokens_max, 100u);
  EXPECT_EQ(generate.request.tokens->at(2), 3);
  EXPECT_EQ(generate.request.tenant, "");
  EXPECT_EQ(generate.request.cache_salt, (domain::CacheSalt{9, 8, 7}));
  EXPECT_TRUE(same_bytes(frame, encode_command(*decoded)));
}

TEST(Protocol, EveryFrameComesBackWhole) {
  for (const auto& command : {Command{Cancel{3}}, Command{Credit{4, 9}}}) {
    const auto frame = encode_command(command);
    const auto back = decode_command(body(frame));
    ASSERT_TRUE(back);
    EXPECT_TRUE(same_bytes(frame, encode_command(*back)));
  }
  std::vector<Notice> notices;
  notices.push_back(Hello{kProtocolVersion, {.landlock_abi = 6, .seccomp = true}});
  notices.push_back(Ready{4096, 8, 98'362'432});
  notices.push_back(LoadFailed{Error{Code::malformed, "not a GGUF file"}});
  notices.push_back(StatsReport{3, 5, 0.25f});
  for (const auto& notice : notices) {
    const auto frame = encode_notice(notice);
    const auto back = decode_notice(body(frame));
    ASSERT_TRUE(back) << back.error().message();
    EXPECT_TRUE(same_bytes(frame, encode_notice(*back)));
  }
  std::vector<domain::Event> events;
  events.emplace_back(domain::Started{12});
  events.emplace_back(domain::TextDelta{domain::Content{"é"}, 2});
  events.emplace_back(domain::ReasoningDelta{domain::Content{"hm"}, 1});
  domain::TextDelta with_logprobs{domain::Content{"a"}, 1};
  with_logprobs.logprobs.push_back({7, domain::Content{"\xC3"}, -0.5f});
  with_logprobs.logprobs.back().top.push_back({8, domain::Content{"b"}, -1.5f});
  events.emplace_back(std::move(with_logprobs));
  events.emplace_back(domain::ToolCallDelta{1, "c", "add", domain::Content{"{"}, 2});
  events.emplace_back(domain::TokensDelta{{1, -2, 3}});
  events.emplace_back(domain::VectorDelta{{0.5f, -1.0f}});
  events.emplace_back(domain::Finished{domain::FinishReason::tool_calls, {9, 4, 3}, 2u});
  events.emplace_back(domain::Finished{domain::FinishReason::length, {9, 4, 3}});
  events.emplace_back(domain::Failed{Error{Code::internal, "decoding failed"}});
  for (auto& event : events) {
    const auto frame = encode_update({77, std::move(event)});
    const auto back = decode_update(body(frame));
    ASSERT_TRUE(back) << back.error().message();
    EXPECT_EQ(back->id, 77u);
    EXPECT_TRUE(same_bytes(frame, encode_update(*back)));
  }
}

TEST(Protocol, TruncatedAndTrailingBytesAreRefused) {
  const auto frame = encode_command(Generate{7, 64, full_request()});
  const auto whole = body(frame);
  for (std::size_t n = 0; n < whole.size(); ++n) EXPECT_FALSE(decode_command(whole.first(n))) << n;
  Bytes longer{whole.begin(), whole.end()};
  longer.push_back(std::byte{0});
  EXPECT_FALSE(decode_command(longer));
}

TEST(Protocol, TextThatIsNotUtf8IsRefused) {
  const auto frame = encode_update({1, domain::ReasoningDelta{domain::Content{"ab"}, 1}});
  Bytes bytes{body(frame).begin(), body(frame).end()};
  bytes.back() = std::byte{0xff};
  const auto back = decode_update(bytes);
  ASSERT_FALSE(back);
  EXPECT_EQ(back.error().code(), Code::malformed);
}

TEST(Protocol, RequestsOverALimitAreRefusedBeforeTheyAreSent) {
  auto request = full_request();
  request.sampling.temperature = 3.0f;
  EXPECT_EQ(check_request(request).error().code(), Code::invalid_argument);
  request = full_request();
  request.sampling.top_p = std::numeric_limits<float>::quiet_NaN();
  EXPECT_FALSE(check_request(request));
  request = full_request();
  request.stop.emplace_back("");
  EXPECT_FALSE(check_request(request));
  request = full_request();
  for (std::size_t i = 0; i < ProtocolLimits::stops_max; ++i) request.stop.emplace_back("x");
  EXPECT_EQ(check_request(request).error().code(), Code::too_large);
}

TEST(Protocol, ErrorsTravelAsRowsAndFigures) {
  const auto original = Error{Code::context_exceeded, "prompt does not fit the model's context"}
                            .with("tokens", 5000)
                            .with("limit", 2048);
  const auto back = from_wire(to_wire(original));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->message(), original.message());
  // What has no row of its own keeps its code and loses its text.
  const auto other =
      from_wire(to_wire(Error{Code::malformed, "no such row"}.about(PublicText{"secret"})));
  ASSERT_TRUE(other);
  EXPECT_EQ(other->code(), Code::malformed);
  EXPECT_EQ(other->subject(), "");
  EXPECT_FALSE(from_wire({static_cast<std::uint16_t>(wire_error_rows()), {}}));
  EXPECT_FALSE(from_wire({0, {7, 0}})) << "a number that no row announces could carry something";
  for (std::uint16_t row = 0; row < wire_error_rows(); ++row) {
    const auto error = from_wire({row, {}});
    ASSERT_TRUE(error);
    EXPECT_EQ(to_wire(*error).row, row) << error->message();
  }
}

TEST(FrameReader, AnyCutGivesTheSameFrames) {
  std::mt19937 random{7};
  Bytes stream;
  std::vector<Bytes> frames;
  for (int i = 0; i < 200; ++i) {
    const std::string text(1 + random() % 3000, static_cast<char>('a' + i % 26));
    const auto frame =
        encode_update({static_cast<RequestId>(i), domain::TextDelta{domain::Content{text}, 1}});
    frames.emplace_back(body(frame).begin(), body(frame).end());
    stream.insert(stream.end(), frame.reveal().begin(), frame.reveal().end());
  }
  for (int round = 0; round < 20; ++round) {
    FrameReader reader{ProtocolLimits::event_frame_bytes_max};
    std::size_t fed = 0;
    std::size_t seen = 0;
    while (fed < stream.size()) {
      auto room = reader.buffer();
      ASSERT_FALSE(room.empty());
      const auto n = std::min({room.size(), stream.size() - fed, std::size_t{1} + random() % 5000});
      std::copy_n(stream.begin() + static_cast<std::ptrdiff_t>(fed), n, room.begin());
      reader.filled(n);
      fed += n;
      for (;;) {
        auto frame = reader.next();
        ASSERT_TRUE(frame);
        if (!*frame) break;
        ASSERT_LT(seen, frames.size());
        EXPECT_TRUE(std::ranges::equal(**frame, frames[seen]));
        ++seen;
      }
    }
    EXPECT_EQ(seen, frames.size());
  }
}

TEST(FrameReader, ALengthOverTheLimitIsRefusedBeforeMemoryIsGiven) {
  FrameReader reader{1000};
  auto room = reader.buffer();
  const auto size = room.size();
  ByteWriter out;
  out.u32(1001);
  std::ranges::copy(out.bytes(), room.begin());
  reader.filled(4);
  const auto frame = reader.next();
  ASSERT_FALSE(frame);
  EXPECT_EQ(frame.error().code(), Code::too_large);
  EXPECT_EQ(frame.error().value("limit"), 1000);
  EXPECT_LE(size, 64u * 1024);
}

}  // namespace
}  // namespace tacit::engine
