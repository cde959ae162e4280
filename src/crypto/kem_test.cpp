#include "crypto/kem.hpp"

#include <gtest/gtest.h>
#include <openssl/err.h>

#include <algorithm>
#include <atomic>
#include <thread>
#include <type_traits>
#include <vector>

#include "core/text.hpp"
#include "crypto/hash.hpp"
#include "crypto/testing/kem_testing.hpp"

namespace tacit::crypto {
namespace {

static_assert(!std::is_copy_constructible_v<KemPrivateKey>);
static_assert(std::is_copy_constructible_v<KemPublicKey>);

constexpr KemId kAll[] = {KemId::dhkem_p256, KemId::dhkem_x25519, KemId::ml_kem_768,
                          KemId::mlkem768_x25519};

Bytes hex(std::string_view text) { return from_hex(text).value_or(Bytes{}); }

KemPublicKey public_key_of(const KemPrivateKey& key) {
  auto parsed = KemPublicKey::parse(key.id(), key.public_bytes());
  EXPECT_TRUE(parsed);
  return *std::move(parsed);
}

// Long values are compared by their SHA-256.
std::string shown(BytesView bytes) {
  return bytes.size() <= 65 ? to_hex(bytes) : sha256_hex(bytes);
}

struct Vector {
  KemId id;
  std::string_view ikm_r, private_key, public_key, ikm_e, enc, secret;
};

// RFC 9180 appendices A.1.1 and A.3.1; draft-ietf-hpke-pq, vectors of March 2026.
constexpr Vector kVectors[] = {
    {KemId::dhkem_x25519, "6db9df30aa07dd42ee5e8181afdb977e538f5e1fec8a06223f33f7013e525037",
     "4612c550263fc8ad58375df3f557aac531d26850903e55a9f23f21d8534e8ac8",
     "3948cfe0ad1ddb695d780e59077195da6c56506b027329794ab02bca80815c4d",
     "7268600d403fce431561aef583ee1613527cff655c1343f29812e66706df3234",
     "37fda3567bdbd628e88668c3c8d7e97d1d1253b6d4ea6d44c150f741f1bf4431",
     "fe0e18c9f024ce43799ae393c7e8fe8fce9d218875e8227b0187c04e7d2ea1fc"},
    {KemId::dhkem_p256, "668b37171f1072f3cf12ea8a236a45df23fc13b82af3609ad1e354f6ef817550",
     "f3ce7fdae57e1a310d87f1ebbde6f328be0a99cdbcadf4d6589cf29de4b8ffd2",
     "04fe8c19ce0905191ebc298a9245792531f26f0cece2460639e8bc39cb7f706a826a779b4cf969b8a0e539c7f62fb"
     "3d3"
     "0ad6aa8f80e30f1d128aafd68a2ce72ea0",
     "4270e54ffd08d79d5928020af4686d8f6b7d35dbe470265f1f5aa22816ce860e",
     "04a92719c6195d5085104f469a8b9814d5838ff72b60501e2c4466e5e67b325ac98536d7b61a1af4b78e5b7f951c0"
     "900"
     "be863c403ce65c9bfcb9382657222d18c4",
     "c0d26aeab536609a572b07695d933b589dcf363ff9d93c93adea537aeabb8cb8"},
    {KemId::ml_kem_768,
     "353e522ee88da0097916c435377e3ffee4cd8288b910a79882f4ac87787cebe6ef7d126a2ef91b2c37f741af42851"
     "a08"
     "d24a756b225d86d534902829896e726b",
     "e3408aae322a3628a4d641c2690d4eb212fd66f369782f2dd22fa293476c69957716be20e83920cd26a7710110a34"
     "ac3"
     "d5da7d90efdc9759812f5cf1a47e85bf",
     "cf9788b0adde41745ceb639c4a4ca6e58803207fd9861c3c662737b13184d413",
     "4b3d28ac17e3aadfe767671928e6c0d26c346d4c7dfcf1db0994d131fd76aaba",
     "687a88e2affee63efc5ca550ea5498beb0f1b717572c5b498231f17e7b14e68b",
     "4f808592f5b6325b866e7d90e48bead8ec36ae17247cf3a1370d46c582dad42e"},
    {KemId::mlkem768_x25519, "b86e76a59fabfc87b30cd7b1f7aaa28a834eb64e7a261c197b9a842893fbce56",
     "3ec47fa82dd5689d27c6190e724c74ec8f608df3331ce331929e37b829676630",
     "ad8aaf3f00d8a39bfeec2947a7d5dde68be08bba19bd301a348a45dc5fcc8341",
     "2a1c0a3745fe8a48fb62034d300f54dfe1974a5b2e169e580a8789cb1cf5fd190fc00f3fd899594e01a8b15334b9f"
     "3fa"
     "03d8de44da86e19f5776850fb689e6c8",
     "95c0a5fca31ea59f29bbc66255ad6637b5a476b3212886af11afdc8930aeb772",
     "58200ed1f137bd95a921bb47f6aaecf2395b26f7fd24efd3a5ffae4849e8dea3"},
};

TEST(Kem, FollowsThePublishedVectors) {
  for (const auto& vector : kVectors) {
    const auto key = KemPrivateKey::derive(vector.id, hex(vector.ikm_r));
    ASSERT_TRUE(key);
    EXPECT_EQ(to_hex(key->private_bytes().reveal()), vector.private_key);
    EXPECT_EQ(shown(key->public_bytes()), vector.public_key);
    const auto made = testing::encapsulate_from(public_key_of(*key), hex(vector.ikm_e));
    ASSERT_TRUE(made);
    EXPECT_EQ(shown(made->enc), vector.enc);
    EXPECT_EQ(to_hex(made->shared_secret.reveal()), vector.secret);
    const auto secret = key->decapsulate(made->enc);
    ASSERT_TRUE(secret);
    EXPECT_EQ(to_hex(secret->reveal()), vector.secret);
  }
}

// draft-connolly-cfrg-xwing-kem, the first vector: the private key is the seed itself.
TEST(Kem, FollowsTheXWingDraft) {
  const auto key =
      KemPrivateKey::parse(KemId::mlkem768_x25519,
                           hex("7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26"));
  ASSERT_TRUE(key);
  EXPECT_EQ(sha256_hex(key->public_bytes()),
            "2e816deebcd76c5c80d0cd2d174478871658e8e2ff42bc9d4a6e486372e856bb");
  const auto made = testing::encapsulate_from(public_key_of(*key),
                                              hex("3cb1eea988004b93103cfb0aeefd2a686e01fa4a58e8a363"
                                                  "9ca8a1e3f9ae57e235b8cc873c23dc62b8d260169afa"
                                                  "2f75ab916a58d974918835d25e6a435085b2"));
  ASSERT_TRUE(made);
  EXPECT_EQ(sha256_hex(made->enc),
            "17cd532d657e44c897ca6583e548a5424fc70bf54f99515a4d2bcf99e3469f33");
  EXPECT_EQ(to_hex(made->shared_secret.reveal()),
            "d2df0522128f09dd8e2c92b1e905c793d8f57a54c3da25861f10bf4ca613e384");
}

TEST(Kem, BothSidesAgreeAndSizesAreTheDeclaredOnes) {
  for (const auto id : kAll) {
    const auto key = KemPrivateKey::generate(id);
    const auto sizes = kem_sizes(id);
    EXPECT_EQ(key.id(), id);
    EXPECT_EQ(key.public_bytes().size(), sizes.public_key);
    EXPECT_EQ(key.private_bytes().size(), sizes.private_key);
    const auto first = public_key_of(key).encapsulate();
    const auto second = public_key_of(key).encapsulate();
    ASSERT_TRUE(first && second);
    EXPECT_EQ(first->enc.size(), sizes.enc);
    EXPECT_EQ(first->shared_secret.size(), sizes.shared_secret);
    EXPECT_NE(first->enc, second->enc);
    // What was written down and read again is the same key.
    const auto again = KemPrivateKey::parse(id, key.private_bytes().reveal());
    ASSERT_TRUE(again);
    for (const auto* made : {&*first, &*second}) {
      const auto secret = again->decapsulate(made->enc);
      ASSERT_TRUE(secret);
      EXPECT_TRUE(constant_time_equal(secret->reveal(), made->shared_secret.reveal()));
    }
  }
}

TEST(Kem, NumbersOnTheWire) {
  for (const auto id : kAll) EXPECT_EQ(kem_id(static_cast<std::uint16_t>(id)).value(), id);
  EXPECT_EQ(kem_id(0x0012).error().code(), Code::unsupported);
}

TEST(Kem, RefusesWrongSizes) {
  for (const auto id : kAll) {
    const auto key = KemPrivateKey::generate(id);
    const Bytes bytes(kem_sizes(id).enc + 1, std::byte{4});
    EXPECT_FALSE(key.decapsulate(bytes));
    EXPECT_FALSE(key.decapsulate(BytesView{bytes}.first(kem_sizes(id).enc - 1)));
    EXPECT_FALSE(key.decapsulate({}));
    EXPECT_FALSE(KemPublicKey::parse(id, key.public_bytes().first(31)));
    EXPECT_FALSE(KemPublicKey::parse(id, {}));
    EXPECT_FALSE(KemPrivateKey::parse(id, Bytes(31)));
    EXPECT_EQ(KemPrivateKey::derive(id, Bytes(31)).error().code(), Code::invalid_argument);
  }
}

TEST(Kem, AnAlteredEncapsulationGivesAnotherSecretOrNone) {
  for (const auto id : kAll) {
    const auto key = KemPrivateKey::generate(id);
    const auto made = public_key_of(key).encapsulate();
    ASSERT_TRUE(made);
    for (std::size_t at = 0; at < made->enc.size(); at += 1 + made->enc.size() / 40) {
      auto damaged = made->enc;
      damaged[at] ^= std::byte{1};
      const auto secret = key.decapsulate(damaged);
      if (!secret) continue;
      EXPECT_FALSE(constant_time_equal(secret->reveal(), made->shared_secret.reveal())) << at;
    }
  }
}

TEST(Kem, RefusesPointsOffTheCurveAndOtherForms) {
  const auto key = KemPrivateKey::generate(KemId::dhkem_p256);
  Bytes point{key.public_bytes().begin(), key.public_bytes().end()};
  point[64] ^= std::byte{1};
  EXPECT_EQ(KemPublicKey::parse(KemId::dhkem_p256, point).error().code(), Code::malformed);
  EXPECT_EQ(key.decapsulate(point).error().code(), Code::malformed);
  point[64] ^= std::byte{1};
  for (const int form : {0, 2, 3, 6, 7}) {  // infinity, compressed, hybrid
    point[0] = static_cast<std::byte>(form);
    EXPECT_FALSE(KemPublicKey::parse(KemId::dhkem_p256, point)) << form;
  }
  const Bytes zero(32);
  const Bytes huge(32, std::byte{0xff});
  EXPECT_FALSE(KemPrivateKey::parse(KemId::dhkem_p256, zero));
  EXPECT_FALSE(KemPrivateKey::parse(KemId::dhkem_p256, huge));
  EXPECT_EQ(ERR_peek_error(), 0u) << "an error left in the queue is read by the next TLS call";
}

// RFC 7748 section 6.1: the points whose agreement is all zeros, and two of their other encodings.
TEST(Kem, RefusesSharesOfLowOrder) {
  const std::string_view points[] = {
      "0000000000000000000000000000000000000000000000000000000000000000",
      "0100000000000000000000000000000000000000000000000000000000000000",
      "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
      "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
      "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
      "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"};
  const auto x25519 = KemPrivateKey::generate(KemId::dhkem_x25519);
  const auto xwing = KemPrivateKey::generate(KemId::mlkem768_x25519);
  const auto made = public_key_of(xwing).encapsulate();
  ASSERT_TRUE(made);
  for (const auto point : points) {
    EXPECT_EQ(x25519.decapsulate(hex(point)).error().code(), Code::malformed) << point;
    auto enc = made->enc;
    std::ranges::copy(hex(point), enc.end() - 32);
    EXPECT_EQ(xwing.decapsulate(enc).error().code(), Code::malformed) << point;
    // As a public key it is found out when something is to be sent to it.
    const auto low = KemPublicKey::parse(KemId::dhkem_x25519, hex(point));
    EXPECT_TRUE(!low || !low->encapsulate()) << point;
    Bytes hybrid{xwing.public_bytes().begin(), xwing.public_bytes().end()};
    std::ranges::copy(hex(point), hybrid.end() - 32);
    const auto low_hybrid = KemPublicKey::parse(KemId::mlkem768_x25519, hybrid);
    EXPECT_TRUE(!low_hybrid || !low_hybrid->encapsulate()) << point;
  }
  EXPECT_EQ(ERR_peek_error(), 0u);
}

// FIPS 203 section 7.2: every coefficient must be below q = 3329.
TEST(Kem, RefusesMlKemKeysWithACoefficientOutsideTheField) {
  for (const auto id : {KemId::ml_kem_768, KemId::mlkem768_x25519}) {
    const auto key = KemPrivateKey::generate(id);
    for (const std::size_t at : {std::size_t{0}, std::size_t{600}, std::size_t{1149}}) {
      Bytes bytes{key.public_bytes().begin(), key.public_bytes().end()};
      bytes[at] = std::byte{0x01};  // 12 bits little-endian: 0xd01 = 3329
      bytes[at + 1] = (bytes[at + 1] & std::byte{0xf0}) | std::byte{0x0d};
      EXPECT_EQ(KemPublicKey::parse(id, bytes).error().code(), Code::malformed) << at;
      bytes[at] = std::byte{0x00};  // 3328 is the largest there is
      EXPECT_TRUE(KemPublicKey::parse(id, bytes)) << at;
    }
  }
  EXPECT_EQ(ERR_peek_error(), 0u);
}

TEST(Kem, OneKeyServesManyThreads) {
  for (const auto id : kAll) {
    const auto key = KemPrivateKey::generate(id);
    const auto public_key = public_key_of(key);
    std::atomic<int> agreed = 0;
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 10; ++i) {
          const auto made = public_key.encapsulate();
          const auto secret = key.decapsulate(made->enc);
          agreed += constant_time_equal(secret->reveal(), made->shared_secret.reveal()) ? 1 : 0;
        }
      });
    }
    threads.clear();  // joins
    EXPECT_EQ(agreed, 40);
  }
}

TEST(Kem, ExpandedMlKemKeysDecapsulateTheSame) {
  const auto key = KemPrivateKey::generate(KemId::ml_kem_768);
  const auto expanded = testing::ml_kem_expanded_key(key.private_bytes().reveal());
  const auto made = public_key_of(key).encapsulate();
  ASSERT_TRUE(expanded && made);
  const auto secret = testing::ml_kem_decapsulate_expanded(*expanded, made->enc);
  ASSERT_TRUE(secret);
  EXPECT_TRUE(constant_time_equal(secret->reveal(), made->shared_secret.reveal()));
}

}  // namespace
}  // namespace tacit::crypto
