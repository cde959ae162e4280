// EHBP: its test vectors, whole exchanges, and what is refused. That a body cut between two frames
// is not noticed is the protocol's, and is tested so that it stays known.
#include "seal/ehbp.hpp"

#include <gtest/gtest.h>

#include "core/text.hpp"
#include "seal/response_keys.hpp"
#include "seal/testing/ehbp_client.hpp"
#include "seal/testing/vector_file.hpp"

namespace tacit::seal {
namespace {

using testing::EhbpExchange;

struct Opened {
  std::string data;
  std::optional<Error> error;
  bool finished = false;
};

class EhbpTest : public ::testing::Test {
 protected:
  EhbpTest() { rotate(); }
  void rotate() {
    auto draft = keys_.draft();
    const auto now = clock_.wall();
    keys_.add({std::move(draft.key), std::move(draft.config), {}, now, now + Seconds{600}}, now);
  }
  EhbpExchange exchange() {
    return EhbpExchange::begin(ehbp_key_config(keys_, clock_.wall())).value();
  }
  static Opened open_all(EhbpOpener& opener, BytesView body, std::size_t piece) {
    Opened opened;
    for (;;) {
      const auto data = opener.next();
      if (!data) {
        opened.error = data.error();
        break;
      }
      if (*data) {
        opened.data += as_text(**data);
      } else if (opener.finished()) {
        break;
      } else if (!body.empty()) {
        const auto n = std::min(body.size(), piece);
        opener.feed(body.first(n));
        body = body.subspan(n);
      } else {
        opener.end();
      }
    }
    opened.finished = opener.finished();
    return opened;
  }
  Opened open(BytesView enc, BytesView body, std::size_t piece = 1 << 20) {
    EhbpOpener opener{{keys_, clock_}, enc, 1 << 20};
    return open_all(opener, body, piece);
  }

  ManualClock clock_;
  KeyRing keys_{ehbp_key_kind()};
};

void append(Bytes& out, const Bytes& more) { out.insert(out.end(), more.begin(), more.end()); }

TEST_F(EhbpTest, AnswersAreKeyedAsInTheVectors) {
  const std::string folder = TACIT_VECTOR_DATA;
  const testing::VectorFile derive{folder + "/ehbp_derive.json"};
  const auto keys = response_keys(kEhbpSuite.aead, derive.hex("exportedSecret"),
                                  derive.hex("requestEnc"), derive.hex("responseNonce"));
  ASSERT_TRUE(keys);
  EXPECT_EQ(to_hex(keys->key.reveal()), to_hex(derive.hex("derivedKey")));
  EXPECT_EQ(to_hex(keys->base_nonce), to_hex(derive.hex("derivedNonceBase")));

  const testing::VectorFile answer{folder + "/ehbp_response-decryption.json"};
  auto sequence =
      crypto::AeadSequence::make(kEhbpSuite.aead, keys->key.reveal(), keys->base_nonce).value();
  const auto wire = answer.hex("encryptedResponse");
  Bytes data(wire.size() - 4 - crypto::kAeadTagBytes);
  ASSERT_TRUE(sequence.open({}, BytesView{wire}.subspan(4), data));
  EXPECT_EQ(data, answer.hex("plaintext"));
}

TEST_F(EhbpTest, BothWays) {
  auto client = exchange();
  Bytes body = client.frame(as_bytes("hel")).value();
  append(body, Bytes(4));  // a frame of nothing is none
  append(body, client.frame(as_bytes("lo")).value());
  for (const std::size_t piece : {1u, 5u, 1000u}) {
    EhbpOpener opener{{keys_, clock_}, client.enc(), 100};
    const auto opened = open_all(opener, body, piece);
    EXPECT_TRUE(opened.finished);
    EXPECT_EQ(opened.data, "hello");
    auto answer = opener.answer().value();
    EXPECT_EQ(answer.nonce().size(), 32u);
    const std::string text(100'000, 'a');
    Bytes wire;
    ASSERT_TRUE(answer.seal(as_bytes("x"), wire));
    ASSERT_TRUE(answer.seal({}, wire));
    ASSERT_TRUE(answer.seal(as_bytes(text), wire));
    EXPECT_EQ(as_text(client.open(answer.nonce(), wire).value()), "x" + text);
    wire[10] ^= std::byte{1};
    EXPECT_FALSE(client.open(answer.nonce(), wire));
  }
}

TEST_F(EhbpTest, WhatDoesNotOpenIsRefusedInTheSameWords) {
  auto client = exchange();
  const auto body = client.frame(as_bytes("question")).value();
  const Bytes enc{client.enc().begin(), client.enc().end()};
  for (std::size_t i = 0; i < body.size(); ++i) {
    auto flipped = body;
    flipped[i] ^= std::byte{0x10};
    const auto opened = open(enc, flipped);
    ASSERT_TRUE(opened.error) << i;
    EXPECT_EQ(opened.error->message(), refused().message());
    EXPECT_TRUE(open(enc, BytesView{body}.first(i)).error) << i;
  }
  for (std::size_t i = 0; i < enc.size(); ++i) {
    auto flipped = enc;
    flipped[i] ^= std::byte{0x80};
    EXPECT_EQ(open(flipped, body).error->message(), refused().message()) << i;
  }
}

TEST_F(EhbpTest, FramesHaveTheirPlacesButNoEnd) {
  auto client = exchange();
  const auto a = client.frame(as_bytes("a")).value();
  const auto b = client.frame(as_bytes("b")).value();
  auto swapped = b;
  append(swapped, a);
  EXPECT_TRUE(open(client.enc(), swapped).error);
  auto doubled = a;
  append(doubled, a);
  EXPECT_EQ(open(client.enc(), doubled).error->code(), Code::corrupt);
  // The known weakness.
  EXPECT_TRUE(open(client.enc(), a).finished);
}

TEST_F(EhbpTest, TriesTheKeysThatLive) {
  auto client = exchange();
  const auto body = client.frame(as_bytes("a")).value();
  clock_.advance(Seconds{300});
  rotate();
  EXPECT_EQ(open(client.enc(), body).data, "a");
  clock_.advance(Seconds{301});
  EXPECT_TRUE(open(client.enc(), body).error);
}

TEST_F(EhbpTest, FramesAreBounded) {
  auto client = exchange();
  const auto body = client.frame(as_bytes(std::string(101, 'x'))).value();
  EhbpOpener opener{{keys_, clock_}, client.enc(), 100};
  EXPECT_TRUE(open_all(opener, body, 10).error);
}

}  // namespace
}  // namespace tacit::seal
