#include "seal/statement.hpp"

#include <algorithm>

#include <gtest/gtest.h>

#include "crypto/random.hpp"
#include "seal/sealed.hpp"

namespace tacit::seal {
namespace {

struct Document {
  Identity identity = Identity::generate();
  EvidenceNonce nonce{};
  Statement statement;
  Bytes bytes;

  Document() : statement{make()} {
    crypto::random_bytes(nonce);
    bytes = identity.sign(encode_statement(statement), nonce, statement.issued_at);
  }
  Statement make() const {
    const auto key = crypto::KemPrivateKey::generate(kSealedSuite.kem);
    const auto public_key = key.public_bytes();
    const WallTime start{Seconds{1'800'000'000}};
    return {Attester::none,
            start,
            start,
            start + Seconds{600},
            identity.public_key(),
            {0x81,
             key.id(),
             {public_key.begin(), public_key.end()},
             {{kSealedSuite.kdf, kSealedSuite.aead}}},
            {},
            "tacit 0.1.0"};
  }
};

TEST(Statement, ComesBackWhole) {
  const Document document;
  const auto opened = open_evidence(document.bytes, document.nonce);
  ASSERT_TRUE(opened) << opened.error().message();
  EXPECT_EQ(opened->statement.sealed, document.statement.sealed);
  EXPECT_EQ(opened->statement.not_after, document.statement.not_after);
  EXPECT_EQ(opened->now, document.statement.issued_at);
  EXPECT_EQ(opened->statement.software, "tacit 0.1.0");
  EXPECT_EQ(opened->statement.identity.fingerprint(), document.identity.public_key().fingerprint());
  EXPECT_EQ(opened->statement_digest, crypto::sha256(encode_statement(document.statement)));
}

TEST(Statement, TheSealedKeyIsForTheOneSuite) {
  const Document document;
  auto statement = document.make();
  statement.sealed.suites.push_back({crypto::KdfId::hkdf_sha256, crypto::AeadId::aes_128_gcm});
  EXPECT_EQ(parse_statement(encode_statement(statement)).error().code(), Code::unsupported);
  statement.sealed.suites = {{crypto::KdfId::hkdf_sha256, crypto::AeadId::aes_128_gcm}};
  EXPECT_EQ(parse_statement(encode_statement(statement)).error().code(), Code::unsupported);
  // A suite that nobody here knows is no reason to look away, either.
  auto bytes = encode_statement(document.statement);
  const auto config = encode_key_config(document.statement.sealed);
  const auto at = std::ranges::search(bytes, config).begin() - bytes.begin();
  bytes[static_cast<std::size_t>(at) + config.size() - 3] = std::byte{6};
  EXPECT_EQ(parse_statement(bytes).error().code(), Code::unsupported);
}

TEST(Statement, AnotherNonceIsNotFresh) {
  const Document document;
  auto other = document.nonce;
  other[0] ^= std::byte{1};
  EXPECT_EQ(open_evidence(document.bytes, other).error().code(), Code::corrupt);
}

TEST(Statement, EveryFlippedBitAndEveryCutIsNoticed) {
  const Document document;
  for (std::size_t i = 0; i < document.bytes.size(); i += 5) {
    auto bad = document.bytes;
    bad[i] ^= std::byte{1} << (i % 8);
    EXPECT_FALSE(open_evidence(bad, document.nonce)) << i;
    EXPECT_FALSE(open_evidence(BytesView{document.bytes}.first(i), document.nonce)) << i;
  }
  auto longer = document.bytes;
  longer.push_back(std::byte{0});
  EXPECT_FALSE(open_evidence(longer, document.nonce));
}

TEST(Statement, BothSignaturesMustBeTheNamedIdentitys) {
  // Another identity's document with this one's name in it: both halves must notice.
  Document document;
  const auto other = Identity::generate();
  for (const bool replace_ed25519 : {true, false}) {
    auto statement = document.make();
    auto& part = replace_ed25519 ? statement.identity.ed25519 : statement.identity.ml_dsa_65;
    part = replace_ed25519 ? other.public_key().ed25519 : other.public_key().ml_dsa_65;
    const auto bytes =
        document.identity.sign(encode_statement(statement), document.nonce, statement.issued_at);
    EXPECT_EQ(open_evidence(bytes, document.nonce).error().code(), Code::corrupt);
  }
}

TEST(Statement, AnIdentityIsTheSameFromItsSeeds) {
  const auto identity = Identity::generate();
  const auto again = Identity::from_seeds(identity.seeds().reveal());
  ASSERT_TRUE(again);
  EXPECT_EQ(identity.public_key().fingerprint(), again->public_key().fingerprint());
  EXPECT_EQ(identity.public_key().fingerprint().size(), 7u + 64u);
  EXPECT_FALSE(Identity::from_seeds(identity.seeds().reveal().first(63)));
}

}  // namespace
}  // namespace tacit::seal
