#include <random>

#include <gtest/gtest.h>

#include "crypto/random.hpp"
#include "seal/padding.hpp"
#include "seal/sealed_client.hpp"
#include "seal/sealed_server.hpp"
#include "seal/varint.hpp"

namespace tacit::seal {
namespace {

class OneCaller final : public CallerDirectory {
 public:
  explicit OneCaller(CallerKey key) : key_{std::move(key)} {}
  std::optional<Caller> find(const PskId& id) override {
    if (id != key_.id) return std::nullopt;
    return Caller{SecretBytes{key_.psk.reveal()}};
  }

 private:
  CallerKey key_;
};

CallerKey caller(std::string_view api_key = "tk-test") {
  return caller_key(crypto::sha256(as_bytes(api_key)));
}

// A server with one key, and a client that knows it.
class Sealed : public testing::Test {
 protected:
  Sealed() { rotate(); }

  void rotate() {
    auto draft = ring.draft();
    const auto statement = crypto::sha256(as_bytes("statement"));
    client = server_key(draft.config, statement).value();
    const auto now = clock.wall();
    ring.add({std::move(draft.key), draft.config, client->binding, now, now + Seconds{600}}, now);
  }

  SealedRequest begin(const ReplyShape& shape = {}, std::string_view api_key = "tk-test") {
    return SealedRequest::begin(RequestDraft::make(*client).value(), caller(api_key), shape,
                                clock.wall())
        .value();
  }
  static Bytes whole(SealedRequest& request, std::string_view text) {
    Bytes wire{request.head().begin(), request.head().end()};
    EXPECT_TRUE(request.write(as_bytes(text), wire));
    EXPECT_TRUE(request.finish(wire));
    return wire;
  }
  SealedOpener opener() { return SealedOpener{{ring, callers, *replays, clock}}; }

  struct Opened {
    std::string text;
    std::optional<Error> error;
    bool finished = false;
  };
  template <class Side> static Opened drain(Side& side) {
    Opened opened;
    while (true) {
      auto data = side.next();
      if (!data) {
        opened.error = data.error();
        break;
      }
      if (!*data) break;
      opened.text += as_text(**data);
    }
    opened.finished = side.finished();
    return opened;
  }
  Opened open(BytesView wire) {
    auto side = opener();
    side.feed(wire);
    side.end();
    return drain(side);
  }

  ManualClock clock;
  KeyRing ring;
  OneCaller callers{caller()};
  std::optional<ReplayCache> replays{std::in_place};
  std::optional<ServerKey> client;
};

TEST_F(Sealed, CarriesRequestAndAnswer) {
  auto request = begin();
  const auto wire = whole(request, "GET / please");
  auto server = opener();
  // One byte at a time: nothing depends on how the transport cuts.
  std::string received;
  for (const auto byte : wire) {
    server.feed({&byte, 1});
    const auto data = server.next();
    ASSERT_TRUE(data);
    if (*data) received += as_text(**data);
  }
  server.end();
  received += drain(server).text;
  EXPECT_EQ(received, "GET / please");
  EXPECT_TRUE(server.finished());
  EXPECT_TRUE(server.authenticated());

  auto answer = server.answer().value();
  Bytes back{answer.head().begin(), answer.head().end()};
  ASSERT_TRUE(answer.write(as_bytes("hel"), back));
  ASSERT_TRUE(answer.flush(false, back));
  ASSERT_TRUE(answer.write(as_bytes("lo"), back));
  ASSERT_TRUE(answer.finish(back));
  auto reply = request.reply();
  reply.feed(back);
  reply.end();
  const auto opened = drain(reply);
  EXPECT_FALSE(opened.error);
  EXPECT_EQ(opened.text, "hello");
  EXPECT_TRUE(opened.finished);
}

TEST_F(Sealed, CarriesEverySizeInADeclaredBucket) {
  std::mt19937 dice{7};
  for (const std::size_t n : {0u, 1u, 1000u, 1021u, 1022u, 65533u, 65534u, 200'000u, 1'000'001u}) {
    std::string text(n, '\0');
    for (auto& c : text) c = static_cast<char>(dice());
    auto request = begin();
    const auto head = request.head().size();
    const auto wire = whole(request, text);
    const auto opened = open(wire);
    EXPECT_FALSE(opened.error) << n;
    EXPECT_TRUE(opened.finished);
    EXPECT_EQ(opened.text == text, true) << n;
    // Without what every frame costs, what is left is a bucket.
    const auto total = bucket(n + kFrameHeaderBytes * (n / (kFrameBytesMax - 3) + 1));
    const auto frames = (total + kFrameBytesMax - 1) / kFrameBytesMax;
    EXPECT_EQ(wire.size() - head, total + frames * 16 + (frames - 1) * 4 + 1) << n;
  }
}

TEST_F(Sealed, AnswersInFramesOfOneSize) {
  for (const std::uint8_t bits : std::initializer_list<std::uint8_t>{8, 9, 12, 16}) {
    auto request = begin({bits, 0});
    const auto wire = whole(request, "x");
    auto server = opener();
    server.feed(wire);
    server.end();
    drain(server);
    auto answer = server.answer().value();
    Bytes back{answer.head().begin(), answer.head().end()};
    std::string sent;
    for (const std::size_t n : {1u, 700u, 3u, 70'000u, 0u, 12u}) {
      const std::string piece(n, 'p');
      sent += piece;
      ASSERT_TRUE(answer.write(as_bytes(piece), back));
      ASSERT_TRUE(answer.flush(n == 0, back));
    }
    ASSERT_TRUE(answer.finish(back));
    FrameSplitter frames{kFrameBytesMax + 16};
    frames.feed(BytesView{back}.subspan(kSealedEncBytes));
    frames.end();
    std::size_t total = 0;
    while (const auto frame = frames.next().value()) {
      EXPECT_EQ(frame->ciphertext.size(), (std::size_t{1} << bits) + 16);
      total += frame->ciphertext.size() - 16;
    }
    EXPECT_GE(total, bucket(sent.size()));
    auto reply = request.reply();
    reply.feed(back);
    reply.end();
    EXPECT_EQ(drain(reply).text == sent, true);
  }
}

TEST_F(Sealed, EveryFlippedBitIsRefusedAlike) {
  auto request = begin();
  const auto wire = whole(request, "secret");
  for (std::size_t i = 0; i < wire.size(); ++i) {
    auto bad = wire;
    bad[i] ^= std::byte{1} << (i % 8);
    const auto opened = open(bad);
    ASSERT_TRUE(opened.error) << i;
    EXPECT_EQ(opened.error->message(), refused().message()) << i;
    EXPECT_TRUE(opened.text.empty());
  }
  EXPECT_FALSE(open(wire).error);  // none of them used the nonce up
}

TEST_F(Sealed, EveryFlippedBitOfAnAnswerIsNoticed) {
  constexpr std::size_t answer_bytes = kSealedEncBytes + 1 + 2 + 2 * (512 + 16);
  for (std::size_t i = 0; i < answer_bytes; i += 3) {
    auto again = begin();
    auto other = opener();
    other.feed(whole(again, "x"));
    other.end();
    drain(other);
    auto fresh = other.answer().value();
    Bytes wire{fresh.head().begin(), fresh.head().end()};
    ASSERT_TRUE(fresh.write(as_bytes(std::string(600, 'a')), wire));
    ASSERT_TRUE(fresh.finish(wire));
    ASSERT_EQ(wire.size(), answer_bytes);
    wire[i] ^= std::byte{1} << (i % 8);
    auto reply = again.reply();
    reply.feed(wire);
    reply.end();
    const auto opened = drain(reply);
    EXPECT_TRUE(opened.error) << i;
    EXPECT_FALSE(opened.finished) << i;
  }
}

TEST_F(Sealed, TruncationIsNoticedAtEveryByte) {
  auto request = begin();
  const auto wire = whole(request, std::string(100'000, 't'));
  for (std::size_t n = 0; n < wire.size(); n += 97) {
    const auto opened = open(BytesView{wire}.first(n));
    EXPECT_TRUE(opened.error) << n;
    EXPECT_FALSE(opened.finished) << n;
    replays.emplace();
  }
}

TEST_F(Sealed, FramesDoNotMove) {
  // Frames of one request of two frames and more, and of another with the same content.
  auto one = begin();
  auto two = begin();
  const std::string text(200'000, 'm');
  const auto first = whole(one, text);
  const auto second = whole(two, text);
  const std::size_t head = one.head().size();
  const std::size_t frame = 4 + kFrameBytesMax + 16;
  ASSERT_GT(first.size(), head + 2 * frame);
  const auto at = [&](const Bytes& wire, std::size_t i) {
    return BytesView{wire}.subspan(head + i * frame, frame);
  };
  const auto built = [&](std::initializer_list<BytesView> parts) {
    Bytes wire;
    for (const auto part : parts) wire.insert(wire.end(), part.begin(), part.end());
    return wire;
  };
  const BytesView start = BytesView{first}.first(head);
  const BytesView tail = BytesView{first}.subspan(head + 2 * frame);
  for (const auto& bad : {
           built({start, at(first, 1), at(first, 0), tail}),   // order
           built({start, at(first, 0), at(first, 0), tail}),   // repetition
           built({start, at(first, 0), tail}),                 // loss
           built({start, at(first, 0), at(second, 1), tail}),  // splice
           built({start, at(second, 0), at(first, 1), tail}),
           built({BytesView{second}.first(head), at(first, 0), at(first, 1), tail}),
           built({BytesView{first}, BytesView{first}}),
       }) {
    const auto opened = open(bad);
    EXPECT_TRUE(opened.error);
    EXPECT_FALSE(opened.finished);
    replays.emplace();
  }
  EXPECT_FALSE(open(first).error);
}

TEST_F(Sealed, ARepetitionIsRefused) {
  auto request = begin();
  const auto wire = whole(request, "pay once");
  EXPECT_FALSE(open(wire).error);
  const auto again = open(wire);
  ASSERT_TRUE(again.error);
  EXPECT_EQ(again.error->message(), refused().message());
  EXPECT_TRUE(again.text.empty());
}

TEST_F(Sealed, ASecondAttemptUnderAnotherKeyIsRefusedToo) {
  const auto freshness = Freshness::at(clock.wall());
  const auto attempt = [&] {
    auto request =
        SealedRequest::begin(RequestDraft::make(*client).value(), caller(), {}, freshness).value();
    return whole(request, "pay once");
  };
  const auto first = attempt();
  rotate();
  const auto second = attempt();
  EXPECT_FALSE(open(second).error);
  EXPECT_TRUE(open(first).error);
  EXPECT_TRUE(open(attempt()).error);
}

TEST_F(Sealed, LateAndEarlyRequestsAreRefused) {
  auto late = begin();
  const auto wire = whole(late, "late");
  clock.advance(Seconds{61});
  EXPECT_TRUE(open(wire).error);
  clock.advance(Seconds{120});
  auto early = begin();
  const auto ahead = whole(early, "early");
  clock.advance(-Seconds{61});
  EXPECT_TRUE(open(ahead).error);
}

TEST_F(Sealed, AnUnknownCallerIsRefused) {
  auto request = begin({}, "tk-other");
  const auto opened = open(whole(request, "hi"));
  ASSERT_TRUE(opened.error);
  EXPECT_EQ(opened.error->message(), refused().message());
}

TEST_F(Sealed, AnotherStatementOrConfigurationDoesNotOpen) {
  for (auto change : {0, 1, 2}) {
    auto known = *client;
    if (change == 0) known.binding.statement_digest[0] ^= std::byte{1};
    if (change == 1) known.binding.config_digest[31] ^= std::byte{1};
    if (change == 2) known.binding.key_id ^= 1;
    auto request =
        SealedRequest::begin(RequestDraft::make(known).value(), caller(), {}, clock.wall()).value();
    EXPECT_TRUE(open(whole(request, "hi")).error) << change;
  }
}

TEST_F(Sealed, AfterItsTimeAKeyOpensNothing) {
  auto old = begin();
  const auto wire = whole(old, "recorded");
  clock.advance(Seconds{300});
  rotate();
  auto overlap = [&] {
    auto request = begin();
    return open(whole(request, "new key")).error.has_value();
  };
  EXPECT_FALSE(overlap());
  clock.advance(Seconds{301});
  EXPECT_EQ(ring.find(old.head().empty() ? 0 : std::to_integer<std::uint8_t>(old.head()[0]),
                      clock.wall()),
            nullptr);
  EXPECT_TRUE(open(wire).error);
}

TEST(ReplayCache, IsBoundedAndForgets) {
  ReplayCache cache{{Seconds{10}, 4}};
  ManualClock clock;
  ReplayNonce nonce{};
  for (int i = 0; i < 4; ++i) {
    nonce[0] = static_cast<std::byte>(i);
    EXPECT_TRUE(cache.admit(nonce, clock.wall(), clock.wall()));
  }
  nonce[0] = std::byte{9};
  EXPECT_EQ(cache.admit(nonce, clock.wall(), clock.wall()).error().code(), Code::overloaded);
  clock.advance(Seconds{11});
  EXPECT_TRUE(cache.admit(nonce, clock.wall(), clock.wall()));
  EXPECT_EQ(cache.size(), 1u);
  EXPECT_EQ(cache.admit(nonce, clock.wall(), clock.wall()).error().code(), Code::forbidden);
}

TEST(Padding, BucketsHoldAndCostLittle) {
  for (std::size_t n = 0; n < 3'000'000; n = n * 17 / 16 + 1) {
    EXPECT_GE(bucket(n), n);
    EXPECT_EQ(bucket(bucket(n)), bucket(n));
    if (n > kBucketDoublingMax) {
      EXPECT_LE(bucket(n), n + n / 8 + 1);
    }
  }
}

TEST(Varint, EveryFormComesBack) {
  for (const std::uint64_t value : {0ull, 63ull, 64ull, 16383ull, 16384ull, 1073741823ull,
                                    1073741824ull, 4611686018427387903ull}) {
    Bytes out;
    put_varint(out, value);
    EXPECT_EQ(out.size(), varint_bytes(value));
    const auto back = get_varint(out);
    ASSERT_TRUE(back);
    EXPECT_EQ(back->value, value);
    EXPECT_EQ(back->consumed, out.size());
    out.pop_back();
    EXPECT_FALSE(get_varint(out));
  }
}

}  // namespace
}  // namespace tacit::seal
