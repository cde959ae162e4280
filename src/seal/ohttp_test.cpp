// Oblivious HTTP: the examples of RFC 9458 and of chunked Oblivious HTTP, every suite both ways,
// and what happens to everything else.
#include "seal/ohttp.hpp"

#include <gtest/gtest.h>

#include "core/text.hpp"
#include "seal/response_keys.hpp"
#include "seal/testing/ohttp_client.hpp"
#include "seal/testing/vector_file.hpp"

namespace tacit::seal {
namespace {

using testing::OhttpExchange;
using testing::OhttpForm;

constexpr std::size_t kMessageBytesMax = 1 << 20;

testing::VectorFile vectors(std::string_view name) {
  return testing::VectorFile{std::string{TACIT_VECTOR_DATA} + '/' + std::string{name}};
}

struct Opened {
  std::string message;
  std::optional<Error> error;
  bool finished = false;
};

// Opens `wire`, fed in pieces of `piece` bytes.
Opened open_all(RequestOpener& opener, BytesView wire, std::size_t piece = 1 << 20) {
  Opened opened;
  while (true) {
    const auto data = opener.next();
    if (!data) {
      opened.error = data.error();
      break;
    }
    if (*data) {
      opened.message += as_text(**data);
    } else if (opener.finished()) {
      break;
    } else if (!wire.empty()) {
      const auto n = std::min(wire.size(), piece);
      opener.feed(wire.first(n));
      wire = wire.subspan(n);
      if (wire.empty()) opener.end();
    } else {
      opener.end();  // no input at all
    }
  }
  opened.finished = opener.finished();
  return opened;
}

class OhttpTest : public ::testing::Test {
 protected:
  OhttpTest() { keys_.rotate(clock_.wall(), clock_.wall() + Seconds{600}); }

  std::unique_ptr<RequestOpener> opener(OhttpForm form) {
    const OhttpParts parts{keys_, clock_};
    if (form == OhttpForm::chunked) return std::make_unique<ChunkedOhttpOpener>(parts);
    return std::make_unique<OhttpOpener>(parts, kMessageBytesMax);
  }
  Opened open(OhttpForm form, BytesView wire, std::size_t piece = 1 << 20) {
    const auto one = opener(form);
    return open_all(*one, wire, piece);
  }
  OhttpExchange exchange(OhttpForm form) {
    const auto config = keys_.configs(clock_.wall()).back();
    return OhttpExchange::begin(form, config, config.suites.front()).value();
  }
  // Puts the gateway's key of an example in place of a key of ours.
  void take_key(const testing::VectorFile& vector) {
    const auto config = parse_key_config(vector.hex("key_config")).value();
    auto key = crypto::KemPrivateKey::parse(config.kem, vector.hex("gateway_secret_key")).value();
    keys_.ring(config.kem)
        ->add({std::move(key), config, {}, clock_.wall(), clock_.wall() + Seconds{600}},
              clock_.wall());
  }

  ManualClock clock_;
  OhttpKeys keys_;
};

constexpr OhttpForm kForms[] = {OhttpForm::plain, OhttpForm::chunked};

TEST_F(OhttpTest, OpensTheExamples) {
  const auto plain = vectors("rfc9458_example.json");
  take_key(plain);
  const auto one = open(OhttpForm::plain, plain.hex("encapsulated_request"));
  EXPECT_TRUE(one.finished);
  EXPECT_EQ(to_hex(as_bytes(one.message)), to_hex(plain.hex("binary_http_request")));

  const auto chunked = vectors("chunked_ohttp_example.json");
  take_key(chunked);
  for (const std::size_t piece : {1u, 7u, 1000u}) {
    const auto other = open(OhttpForm::chunked, chunked.hex("encapsulated_request"), piece);
    EXPECT_TRUE(other.finished);
    EXPECT_EQ(to_hex(as_bytes(other.message)), to_hex(chunked.hex("binary_http_request")));
  }
}

TEST_F(OhttpTest, AnswersAreKeyedAsInTheExamples) {
  for (const auto* name : {"rfc9458_example.json", "chunked_ohttp_example.json"}) {
    const auto vector = vectors(name);
    const auto enc = vector.hex("client_ephemeral_public_key");
    const auto salt = vector.hex("response_salt");
    ASSERT_TRUE(std::ranges::equal(BytesView{salt}.first(enc.size()), enc));
    const auto keys = response_keys(crypto::AeadId::aes_128_gcm, vector.hex("response_secret"), enc,
                                    BytesView{salt}.subspan(enc.size()));
    ASSERT_TRUE(keys);
    EXPECT_EQ(to_hex(keys->key.reveal()), to_hex(vector.hex("response_aead_key")));
    const auto* nonce =
        std::string_view{name}.starts_with("rfc") ? "response_aead_nonce" : "response_base_nonce";
    EXPECT_EQ(to_hex(keys->base_nonce), to_hex(vector.hex(nonce)));
  }
}

TEST_F(OhttpTest, EverySuiteBothWays) {
  const std::string question(100'000, 'q');
  const std::string answer(50'000, 'a');
  for (const auto& config : keys_.configs(clock_.wall())) {
    EXPECT_LT(config.key_id, kSealedKeyIdMin);
    for (const auto& suite : config.suites) {
      for (const auto form : kForms) {
        auto client = OhttpExchange::begin(form, config, suite).value();
        const auto request = client.request(as_bytes(question)).value();
        const auto server = opener(form);
        const auto opened = open_all(*server, request, 1000);
        EXPECT_FALSE(opened.error);
        EXPECT_EQ(opened.message, question);
        EXPECT_TRUE(server->replay_nonce());
        const auto sealer = server->answer_sealer().value();
        Bytes wire{sealer->head().begin(), sealer->head().end()};
        EXPECT_TRUE(sealer->write(as_bytes(answer).first(5), wire));
        EXPECT_TRUE(sealer->flush(false, wire));
        EXPECT_TRUE(sealer->write(as_bytes(answer).subspan(5), wire));
        EXPECT_TRUE(sealer->finish(wire));
        const auto back = client.open(wire);
        ASSERT_TRUE(back);
        EXPECT_EQ(as_text(*back), answer);
      }
    }
  }
}

TEST_F(OhttpTest, WhatDoesNotOpenIsRefusedInTheSameWords) {
  for (const auto form : kForms) {
    const auto good = exchange(form).request(as_bytes("question")).value();
    ASSERT_TRUE(open(form, good).finished);
    for (std::size_t i = 0; i < good.size(); ++i) {
      auto flipped = good;
      flipped[i] ^= std::byte{0x10};
      const auto opened = open(form, flipped);
      ASSERT_TRUE(opened.error) << i;
      EXPECT_EQ(opened.error->message(), refused().message()) << i;
      const auto cut = open(form, BytesView{good}.first(i));
      ASSERT_TRUE(cut.error) << i;
      EXPECT_EQ(cut.error->message(), refused().message()) << i;
      EXPECT_EQ(opened.message + cut.message, "");
    }
    auto longer = good;
    longer.push_back(std::byte{0});
    EXPECT_EQ(open(form, longer).error->message(), refused().message());
  }
}

TEST_F(OhttpTest, TheOtherFormDoesNotOpen) {
  const auto plain = exchange(OhttpForm::plain).request(as_bytes("question")).value();
  EXPECT_TRUE(open(OhttpForm::chunked, plain).error);
  const auto chunked = exchange(OhttpForm::chunked).request(as_bytes("question")).value();
  EXPECT_TRUE(open(OhttpForm::plain, chunked).error);
}

// The client's chunks, each with its length.
std::vector<Bytes> chunks_of(BytesView wire, std::size_t head_bytes, std::size_t chunk_bytes) {
  std::vector<Bytes> chunks;
  for (wire = wire.subspan(head_bytes); !wire.empty();) {
    const auto n = std::min(wire.size(), chunk_bytes);
    chunks.emplace_back(wire.begin(), wire.begin() + static_cast<std::ptrdiff_t>(n));
    wire = wire.subspan(n);
  }
  return chunks;
}

TEST_F(OhttpTest, ChunksHaveTheirPlaces) {
  auto client = exchange(OhttpForm::chunked);
  const auto wire = client.request(as_bytes("aabbccdd"), 2).value();
  const auto head_bytes = kRequestHeaderBytes + client.enc().size();
  const auto chunks = chunks_of(wire, head_bytes, 1 + 2 + crypto::kAeadTagBytes);
  ASSERT_EQ(chunks.size(), 4u);
  const auto with = [&](std::initializer_list<std::size_t> order) {
    Bytes joined{wire.begin(), wire.begin() + static_cast<std::ptrdiff_t>(head_bytes)};
    for (const auto i : order) joined.insert(joined.end(), chunks[i].begin(), chunks[i].end());
    return open(OhttpForm::chunked, joined);
  };
  EXPECT_EQ(with({0, 1, 2, 3}).message, "aabbccdd");
  EXPECT_TRUE(with({0, 1, 2, 3}).finished);
  for (const auto& order : {std::initializer_list<std::size_t>{0, 1, 2},
                            {0, 2, 1, 3},
                            {0, 1, 3},
                            {0, 1, 1, 2, 3},
                            {1, 0, 2, 3},
                            {0, 1, 2, 3, 3},
                            {3},
                            {}}) {
    const auto opened = with(order);
    EXPECT_FALSE(opened.finished);
    EXPECT_TRUE(opened.error);
    EXPECT_TRUE(std::string_view{"aabbccdd"}.starts_with(opened.message));
  }
}

TEST_F(OhttpTest, LengthsOfChunksMayBeInAnyForm) {
  auto client = exchange(OhttpForm::chunked);
  const auto wire = client.request(as_bytes("aabb"), 2).value();
  const auto at = static_cast<std::ptrdiff_t>(kRequestHeaderBytes + client.enc().size());
  Bytes longer{wire.begin(), wire.begin() + at};
  longer.push_back(std::byte{0x40});  // the same length in two bytes
  longer.insert(longer.end(), wire.begin() + at, wire.end());
  EXPECT_EQ(open(OhttpForm::chunked, longer).message, "aabb");
}

TEST_F(OhttpTest, KeysComeAndGo) {
  const auto form = OhttpForm::plain;
  const auto old = exchange(form).request(as_bytes("question")).value();
  clock_.advance(Seconds{300});
  const auto before = keys_.configs(clock_.wall());
  keys_.rotate(clock_.wall(), clock_.wall() + Seconds{600});
  EXPECT_NE(keys_.configs(clock_.wall()), before);
  EXPECT_TRUE(open(form, old).finished);
  clock_.advance(Seconds{301});
  EXPECT_TRUE(open(form, old).error);
  EXPECT_TRUE(open(form, exchange(form).request(as_bytes("question")).value()).finished);
}

TEST_F(OhttpTest, APlainMessageIsBounded) {
  const std::string large(kMessageBytesMax, 'x');
  const auto opened =
      open(OhttpForm::plain, exchange(OhttpForm::plain).request(as_bytes(large)).value(), 4096);
  ASSERT_TRUE(opened.error);
  EXPECT_EQ(opened.error->message(), refused().message());
}

}  // namespace
}  // namespace tacit::seal
