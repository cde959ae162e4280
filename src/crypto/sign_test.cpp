#include "crypto/sign.hpp"

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include <algorithm>
#include <string>
#include <tuple>
#include <type_traits>

#include "core/text.hpp"
#include "crypto/sign_impl.hpp"
#include "crypto/testing/sign_testing.hpp"

namespace tacit::crypto {
namespace {

using enum SignatureScheme;

static_assert(!std::is_copy_constructible_v<SigningKey>);

struct Case {
  KeyKind kind;
  SignatureScheme scheme;
};
constexpr Case kCases[] = {
    {KeyKind::ed25519, ed25519},
    {KeyKind::ecdsa_p256, ecdsa_sha256_der},
    {KeyKind::ecdsa_p256, ecdsa_sha256_raw},
    {KeyKind::ecdsa_p256, ecdsa_sha512_raw},
    {KeyKind::ecdsa_p384, ecdsa_sha384_der},
    {KeyKind::ecdsa_p384, ecdsa_sha384_raw},
    {KeyKind::ml_dsa_44, ml_dsa},
    {KeyKind::ml_dsa_65, ml_dsa},
};

Bytes hex(std::string_view text) { return from_hex(text).value_or(Bytes{}); }
Bytes copy(BytesView bytes) { return {bytes.begin(), bytes.end()}; }

SigningKey new_key(KeyKind kind) {
  auto key = SigningKey::generate(kind);
  EXPECT_TRUE(key);
  return *std::move(key);
}

// RFC 8032 section 7.1, test 2.
TEST(Sign, FollowsRfc8032) {
  const auto key = SigningKey::from_seed(
      KeyKind::ed25519, hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"));
  ASSERT_TRUE(key);
  EXPECT_EQ(to_hex(key->verifying_key().raw()),
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
  const auto signature = key->sign(ed25519, hex("72"));
  ASSERT_TRUE(signature);
  EXPECT_EQ(to_hex(*signature),
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f36"
            "13d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
}

// RFC 6979 appendix A.2.5 and A.2.6, message "sample".
TEST(Sign, VerifiesRfc6979) {
  const auto p256 = VerifyingKey::parse_raw(KeyKind::ecdsa_p256,
                                            hex("0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6c"
                                                "e669622e60f29fb67903fe1008b8bc99a41ae9e9"
                                                "5628bc64f2f1b20c2d7e9f5177a3c294d4462299"));
  ASSERT_TRUE(p256);
  EXPECT_TRUE(p256->verify(ecdsa_sha256_raw, as_bytes("sample"),
                           hex("efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716f7c"
                               "b1c942d657c41d436c7a1b6"
                               "e29f65f3e900dbb9aff4064dc4ab2f843acda8")));
  const auto p384 = VerifyingKey::parse_raw(KeyKind::ecdsa_p384,
                                            hex("04ec3a4e415b4e19a4568618029f427fa5da9a8bc4ae92e02e"
                                                "06aae5286b300c64def8f0ea9055866064a25451"
                                                "5480bc138015d9b72d7d57244ea8ef9ac0c621896708a59367"
                                                "f9dfb9f54ca84b3f1c9db1288b231c3ae0d4fe73"
                                                "44fd2533264720"));
  ASSERT_TRUE(p384);
  EXPECT_TRUE(p384->verify(ecdsa_sha384_raw, as_bytes("sample"),
                           hex("94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c81a"
                               "648152e44acf96e36dd1e80"
                               "fabe4699ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a"
                               "94fa329c145786e679e7b82"
                               "c71a38628ac8")));
}

TEST(Sign, VerifiesWhatItSignedAndNothingElse) {
  for (const auto& [kind, scheme] : kCases) {
    const auto key = new_key(kind);
    const auto other = new_key(kind);
    const auto& verifying = key.verifying_key();
    for (const std::string& message : {std::string{}, std::string(3000, 'm')}) {
      const auto signature = key.sign(scheme, as_bytes(message));
      ASSERT_TRUE(signature);
      EXPECT_TRUE(verifying.verify(scheme, as_bytes(message), *signature));
      EXPECT_EQ(verifying.verify(scheme, as_bytes(message + "x"), *signature).error().code(),
                Code::corrupt);
      EXPECT_FALSE(other.verifying_key().verify(scheme, as_bytes(message), *signature));
      EXPECT_FALSE(verifying.verify(scheme, as_bytes(message), {}));
      auto longer = *signature;
      longer.push_back(std::byte{0});
      EXPECT_FALSE(verifying.verify(scheme, as_bytes(message), longer));
      EXPECT_FALSE(verifying.verify(scheme, as_bytes(message),
                                    BytesView{*signature}.first(signature->size() - 1)));
      for (std::size_t at = 0; at < signature->size(); at += 1 + signature->size() / 50) {
        auto damaged = *signature;
        damaged[at] ^= std::byte{1};
        EXPECT_FALSE(verifying.verify(scheme, as_bytes(message), damaged)) << at;
      }
    }
    EXPECT_EQ(ERR_peek_error(), 0u);
  }
}

TEST(Sign, SchemesFitTheirKeysOnly) {
  for (const auto& [kind, scheme] : kCases) {
    const auto key = new_key(kind);
    for (const auto wrong : {ed25519, ecdsa_sha256_der, ml_dsa, rsa_pss_sha256, rsa_pkcs1_sha256}) {
      const bool ecdsa = kind == KeyKind::ecdsa_p256 || kind == KeyKind::ecdsa_p384;
      if (wrong == scheme || (ecdsa && wrong == ecdsa_sha256_der)) continue;
      EXPECT_EQ(key.sign(wrong, {}).error().code(), Code::invalid_argument);
      EXPECT_EQ(key.verifying_key().verify(wrong, {}, {}).error().code(), Code::invalid_argument);
    }
  }
}

TEST(Sign, OnlyMlDsaTakesAContext) {
  const auto key = new_key(KeyKind::ml_dsa_44);
  const Bytes context(255, std::byte{1});
  const auto signature = key.sign(ml_dsa, as_bytes("m"), context);
  ASSERT_TRUE(signature);
  EXPECT_TRUE(key.verifying_key().verify(ml_dsa, as_bytes("m"), *signature, context));
  EXPECT_FALSE(key.verifying_key().verify(ml_dsa, as_bytes("m"), *signature));
  EXPECT_EQ(key.sign(ml_dsa, {}, Bytes(256)).error().code(), Code::invalid_argument);
  EXPECT_EQ(new_key(KeyKind::ed25519).sign(ed25519, {}, context).error().code(),
            Code::invalid_argument);
  const auto first = testing::ml_dsa_sign_deterministic(key, as_bytes("m"), {});
  const auto second = testing::ml_dsa_sign_deterministic(key, as_bytes("m"), {});
  ASSERT_TRUE(first && second);
  EXPECT_EQ(*first, *second);
  EXPECT_NE(*first, *key.sign(ml_dsa, as_bytes("m")));
}

Bytes openssl_spki(EVP_PKEY* key) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key, &der);
  EXPECT_GT(size, 0);
  const auto* bytes = reinterpret_cast<const std::byte*>(der);
  Bytes result{bytes, bytes + size};
  OPENSSL_free(der);
  return result;
}

TEST(VerifyingKey, WritesWhatOpenSslWritesAndReadsItBack) {
  for (const auto& [kind, scheme] : kCases) {
    const auto key = new_key(kind);
    const auto& verifying = key.verifying_key();
    EXPECT_EQ(copy(verifying.spki()), openssl_spki(SignAccess::impl(verifying).key.get()));
    const auto spki = VerifyingKey::parse_spki(verifying.spki());
    const auto raw = VerifyingKey::parse_raw(kind, verifying.raw());
    const auto pem = VerifyingKey::parse_pem(verifying.pem());
    ASSERT_TRUE(spki && raw && pem);
    EXPECT_TRUE(*spki == verifying && *raw == verifying && *pem == verifying);
    EXPECT_EQ(spki->kind(), kind);

    auto der = copy(verifying.spki());
    der.push_back(std::byte{0});
    EXPECT_FALSE(VerifyingKey::parse_spki(der)) << "trailing byte";
    EXPECT_FALSE(VerifyingKey::parse_spki(verifying.spki().first(der.size() - 2)));
    EXPECT_FALSE(VerifyingKey::parse_spki({}));
  }
  EXPECT_EQ(ERR_peek_error(), 0u);
}

TEST(VerifyingKey, RefusesWeakAndNonCanonicalEd25519Keys) {
  for (const std::string_view point : {
           "0000000000000000000000000000000000000000000000000000000000000000",
           "0000000000000000000000000000000000000000000000000000000000000080",
           "0100000000000000000000000000000000000000000000000000000000000000",
           "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
           "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
           "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
           "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
           "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
           "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
       }) {
    EXPECT_FALSE(VerifyingKey::parse_raw(KeyKind::ed25519, hex(point))) << point;
  }
  EXPECT_TRUE(VerifyingKey::parse_raw(
      KeyKind::ed25519, hex("ebffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f")));
}

TEST(VerifyingKey, PemIsStrict) {
  const auto pem = new_key(KeyKind::ed25519).verifying_key().pem();
  std::string crlf;
  for (const char c : pem) crlf += c == '\n' ? std::string{"\r\n"} : std::string{c};
  EXPECT_TRUE(VerifyingKey::parse_pem(crlf));
  EXPECT_TRUE(VerifyingKey::parse_pem(pem + "\n "));
  EXPECT_TRUE(VerifyingKey::parse_pem(pem.substr(0, pem.size() - 1)));
  EXPECT_FALSE(VerifyingKey::parse_pem("\n" + pem));
  EXPECT_FALSE(VerifyingKey::parse_pem(pem + pem));
  EXPECT_FALSE(VerifyingKey::parse_pem(pem.substr(0, pem.size() / 2)));
  EXPECT_FALSE(VerifyingKey::parse_pem(""));
  auto other_label = pem;
  other_label.replace(other_label.rfind("PUBLIC"), 6, "PRIVAT");
  EXPECT_FALSE(VerifyingKey::parse_pem(other_label));
  auto stray = pem;
  stray.insert(stray.find('\n') + 5, "#");
  EXPECT_FALSE(VerifyingKey::parse_pem(stray));
}

TEST(SigningKey, SurvivesBeingWrittenDown) {
  for (const auto& [kind, scheme] : kCases) {
    const auto key = new_key(kind);
    const auto der = SigningKey::parse_pkcs8(key.pkcs8().reveal());
    const auto pem = SigningKey::parse_pem(key.pem().reveal());
    ASSERT_TRUE(der && pem);
    const auto signature = pem->sign(scheme, as_bytes("m"));
    ASSERT_TRUE(signature);
    EXPECT_TRUE(key.verifying_key().verify(scheme, as_bytes("m"), *signature));
    EXPECT_TRUE(der->verifying_key() == key.verifying_key());
    auto longer = copy(key.pkcs8().reveal());
    longer.push_back(std::byte{0});
    EXPECT_FALSE(SigningKey::parse_pkcs8(longer));
  }
  EXPECT_FALSE(SigningKey::parse_pkcs8({}));
  EXPECT_FALSE(SigningKey::parse_pkcs8(as_bytes("nonsense")));
  EXPECT_EQ(SigningKey::generate(KeyKind::rsa).error().code(), Code::unsupported);
  EXPECT_EQ(SigningKey::from_seed(KeyKind::ed25519, Bytes(31)).error().code(), Code::malformed);
  EXPECT_EQ(ERR_peek_error(), 0u);
}

TEST(SigningKey, RefusesCurvesAndPublicPartsThatAreNotOurs) {
  const Pkey k256{EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "secp256k1")};
  PKCS8_PRIV_KEY_INFO* info = EVP_PKEY2PKCS8(k256.get());
  unsigned char* der = nullptr;
  const int size = i2d_PKCS8_PRIV_KEY_INFO(info, &der);
  const auto* bytes = reinterpret_cast<const std::byte*>(der);
  EXPECT_EQ(SigningKey::parse_pkcs8({bytes, static_cast<std::size_t>(size)}).error().code(),
            Code::unsupported);
  OPENSSL_free(der);
  PKCS8_PRIV_KEY_INFO_free(info);
  // The public point ends a P-256 PKCS#8; another key's there is a mismatch.
  auto mixed = copy(new_key(KeyKind::ecdsa_p256).pkcs8().reveal());
  const auto other = new_key(KeyKind::ecdsa_p256);
  std::ranges::copy(other.verifying_key().raw(), mixed.end() - 65);
  EXPECT_FALSE(SigningKey::parse_pkcs8(mixed));
}

// RSA keys come from OpenSSL, since this module only verifies with them.
class Rsa : public ::testing::Test {
 protected:
  static Pkey generate(std::size_t bits) {
    return Pkey{EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", bits)};
  }
  static Bytes sign(EVP_PKEY* key, const char* hash, int padding, std::string_view message) {
    const OsslPtr<EVP_MD_CTX> digest{EVP_MD_CTX_new()};
    EVP_PKEY_CTX* context = nullptr;
    EXPECT_EQ(EVP_DigestSignInit_ex(digest.get(), &context, hash, nullptr, nullptr, key, nullptr),
              1);
    EXPECT_EQ(EVP_PKEY_CTX_set_rsa_padding(context, padding), 1);
    if (padding == RSA_PKCS1_PSS_PADDING) {
      EXPECT_EQ(EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST), 1);
    }
    std::size_t size = 1024;
    Bytes out(size);
    EXPECT_EQ(EVP_DigestSign(digest.get(), reinterpret_cast<unsigned char*>(out.data()), &size,
                             ossl_data(as_bytes(message)), message.size()),
              1);
    out.resize(size);
    return out;
  }
};

TEST_F(Rsa, VerifiesBothPaddingsWithEveryHash) {
  const auto key = generate(2048);
  const auto verifying = VerifyingKey::parse_spki(openssl_spki(key.get()));
  ASSERT_TRUE(verifying);
  EXPECT_EQ(verifying->kind(), KeyKind::rsa);
  EXPECT_EQ(copy(verifying->spki()), openssl_spki(key.get()));
  EXPECT_TRUE(verifying->raw().empty());
  EXPECT_TRUE(VerifyingKey::parse_pem(verifying->pem()).value() == *verifying);
  const std::tuple<const char*, SignatureScheme, SignatureScheme> hashes[] = {
      {"SHA2-256", rsa_pss_sha256, rsa_pkcs1_sha256},
      {"SHA2-384", rsa_pss_sha384, rsa_pkcs1_sha384},
      {"SHA2-512", rsa_pss_sha512, rsa_pkcs1_sha512}};
  for (const auto& [hash, pss, pkcs1] : hashes) {
    const auto pss_signature = sign(key.get(), hash, RSA_PKCS1_PSS_PADDING, "m");
    const auto pkcs1_signature = sign(key.get(), hash, RSA_PKCS1_PADDING, "m");
    EXPECT_TRUE(verifying->verify(pss, as_bytes("m"), pss_signature));
    EXPECT_TRUE(verifying->verify(pkcs1, as_bytes("m"), pkcs1_signature));
    EXPECT_FALSE(verifying->verify(pkcs1, as_bytes("m"), pss_signature));
    EXPECT_FALSE(verifying->verify(pss, as_bytes("m"), pkcs1_signature));
    EXPECT_FALSE(verifying->verify(pss, as_bytes("n"), pss_signature));
  }
  EXPECT_FALSE(verifying->verify(rsa_pkcs1_sha256, as_bytes("m"),
                                 sign(key.get(), "SHA2-384", RSA_PKCS1_PADDING, "m")));
  EXPECT_EQ(ERR_peek_error(), 0u);
}

TEST_F(Rsa, RefusesSmallKeysAndOtherEncodings) {
  const auto small = VerifyingKey::parse_spki(openssl_spki(generate(1024).get()));
  EXPECT_EQ(small.error().code(), Code::unsupported);
  const auto der = openssl_spki(generate(2048).get());
  // Every single damaged byte is refused or is a key that writes itself exactly so.
  for (std::size_t at = 0; at < der.size(); ++at) {
    auto damaged = der;
    damaged[at] ^= std::byte{0x40};
    const auto key = VerifyingKey::parse_spki(damaged);
    if (key) {
      EXPECT_EQ(copy(key->spki()), damaged) << at;
    }
  }
  EXPECT_EQ(VerifyingKey::from_rsa(Bytes(256, std::byte{0xfe}), hex("010001")).error().code(),
            Code::malformed)
      << "an even modulus";
  Bytes odd(256, std::byte{0xff});
  EXPECT_FALSE(VerifyingKey::from_rsa(odd, hex("01")));
  EXPECT_FALSE(VerifyingKey::from_rsa(odd, hex("010000")));
  EXPECT_FALSE(VerifyingKey::from_rsa(odd, hex("0100000001")));
  EXPECT_FALSE(VerifyingKey::from_rsa({}, hex("010001")));
  EXPECT_FALSE(VerifyingKey::from_rsa(odd, {}));
  EXPECT_TRUE(VerifyingKey::from_rsa(odd, hex("00010001")));
  odd.resize(1025, std::byte{0xff});
  EXPECT_EQ(VerifyingKey::from_rsa(odd, hex("010001")).error().code(), Code::unsupported);
}

}  // namespace
}  // namespace tacit::crypto
