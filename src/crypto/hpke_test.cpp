#include "crypto/hpke.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>

#include "core/text.hpp"
#include "crypto/testing/hpke_testing.hpp"

namespace tacit::crypto {
namespace {

constexpr KemId kKems[] = {KemId::dhkem_p256, KemId::dhkem_x25519, KemId::ml_kem_768,
                           KemId::mlkem768_x25519};
constexpr KdfId kKdfs[] = {KdfId::hkdf_sha256, KdfId::hkdf_sha384, KdfId::hkdf_sha512,
                           KdfId::shake128, KdfId::shake256};
constexpr AeadId kAeads[] = {AeadId::aes_128_gcm, AeadId::aes_256_gcm, AeadId::chacha20_poly1305};
constexpr HpkeSuite kFast{KemId::dhkem_x25519, KdfId::hkdf_sha256, AeadId::aes_128_gcm};

Bytes hex(std::string_view text) { return from_hex(text).value_or(Bytes{}); }

KemPublicKey public_key_of(const KemPrivateKey& key) {
  auto parsed = KemPublicKey::parse(key.id(), key.public_bytes());
  EXPECT_TRUE(parsed);
  return *std::move(parsed);
}

Bytes seal(HpkeSender& sender, std::string_view aad, std::string_view plaintext) {
  Bytes out(plaintext.size() + kAeadTagBytes);
  EXPECT_TRUE(sender.seal(as_bytes(aad), as_bytes(plaintext), out));
  return out;
}

Result<std::string> open(HpkeReceiver& receiver, std::string_view aad, BytesView sealed) {
  Bytes out(sealed.size() - kAeadTagBytes);
  TACIT_CHECK(receiver.open(as_bytes(aad), sealed, out));
  return std::string{as_text(out)};
}

// RFC 9180 appendix A.1.2: DHKEM(X25519), HKDF-SHA256, AES-128-GCM, PSK mode.
TEST(Hpke, FollowsRfc9180WithAPsk) {
  const auto key = KemPrivateKey::derive(
      KemId::dhkem_x25519, hex("d4a09d09f575fef425905d2ab396c1449141463f698f8efdb7accfaff8995098"));
  ASSERT_TRUE(key);
  const auto info = hex("4f6465206f6e2061204772656369616e2055726e");
  const auto psk_key = hex("0247fd33b913760fa1fa51e1892d9f307fbe65eb171e8132c2af18555a738b82");
  const auto psk_id = hex("456e6e796e20447572696e206172616e204d6f726961");
  const HpkePsk psk{psk_key, psk_id};
  auto sender = testing::setup_sender_from(
      kFast, public_key_of(*key), info, psk,
      hex("78628c354e46f3e169bd231be7b2ff1c77aa302460a26dbfa15515684c00130b"));
  ASSERT_TRUE(sender);
  EXPECT_EQ(to_hex(sender->enc()),
            "0ad0950d9fb9588e59690b74f1237ecdf1d775cd60be2eca57af5a4b0471c91b");
  EXPECT_EQ(to_hex(seal(*sender, "Count-0", "Beauty is truth, truth beauty")),
            "e52c6fed7f758d0cf7145689f21bc1be6ec9ea097fef4e959440012f4feb73fb611b946199e681f4cfc34d"
            "b8ea");
  EXPECT_EQ(to_hex(seal(*sender, "Count-1", "Beauty is truth, truth beauty")),
            "49f3b19b28a9ea9f43e8c71204c00d4a490ee7f61387b6719db765e948123b45b61633ef059ba22cd62437"
            "c8ba");
  const auto exported = sender->export_secret({}, 32);
  ASSERT_TRUE(exported);
  EXPECT_EQ(to_hex(exported->reveal()),
            "dff17af354c8b41673567db6259fd6029967b4e1aad13023c2ae5df8f4f43bf6");
}

// The same vector, with the key schedule alone.
TEST(Hpke, ASecretThatBothSidesHaveMakesTheSameContext) {
  const auto key = KemPrivateKey::derive(
      KemId::dhkem_x25519, hex("d4a09d09f575fef425905d2ab396c1449141463f698f8efdb7accfaff8995098"));
  ASSERT_TRUE(key);
  const auto secret =
      key->decapsulate(hex("0ad0950d9fb9588e59690b74f1237ecdf1d775cd60be2eca57af5a4b0471c91b"));
  ASSERT_TRUE(secret);
  const auto info = hex("4f6465206f6e2061204772656369616e2055726e");
  const auto psk_key = hex("0247fd33b913760fa1fa51e1892d9f307fbe65eb171e8132c2af18555a738b82");
  const auto psk_id = hex("456e6e796e20447572696e206172616e204d6f726961");
  const HpkePsk psk{psk_key, psk_id};
  auto sender = HpkeSender::from_secret(kFast, secret->reveal(), info, psk);
  ASSERT_TRUE(sender);
  EXPECT_TRUE(sender->enc().empty());
  const auto sealed = seal(*sender, "Count-0", "Beauty is truth, truth beauty");
  EXPECT_EQ(to_hex(sealed),
            "e52c6fed7f758d0cf7145689f21bc1be6ec9ea097fef4e959440012f4feb73fb611b946199e681f4cfc34d"
            "b8ea");
  auto receiver = HpkeReceiver::from_secret(kFast, secret->reveal(), info, psk);
  ASSERT_TRUE(receiver);
  EXPECT_EQ(open(*receiver, "Count-0", sealed).value_or(""), "Beauty is truth, truth beauty");
  // Another mode, another context.
  auto base = HpkeReceiver::from_secret(kFast, secret->reveal(), info);
  ASSERT_TRUE(base);
  EXPECT_FALSE(open(*base, "Count-0", sealed));
  EXPECT_EQ(HpkeSender::from_secret(kFast, secret->reveal().first(31), info).error().code(),
            Code::invalid_argument);
}

TEST(Hpke, EverySuiteCarriesMessagesAndExportsAlike) {
  for (const auto kem : kKems) {
    const auto key = KemPrivateKey::generate(kem);
    for (const auto kdf : kKdfs) {
      for (const auto aead : kAeads) {
        const HpkeSuite suite{kem, kdf, aead};
        auto sender = HpkeSender::setup(suite, public_key_of(key), as_bytes("info"));
        ASSERT_TRUE(sender);
        auto receiver = HpkeReceiver::setup(suite, key, sender->enc(), as_bytes("info"));
        ASSERT_TRUE(receiver);
        for (const std::string_view text : {"", "one", "two"}) {
          const auto opened = open(*receiver, "aad", seal(*sender, "aad", text));
          ASSERT_TRUE(opened);
          EXPECT_EQ(*opened, text);
        }
        const auto a = sender->export_secret(as_bytes("purpose"), 48);
        const auto b = receiver->export_secret(as_bytes("purpose"), 48);
        const auto c = receiver->export_secret(as_bytes("other"), 48);
        ASSERT_TRUE(a && b && c);
        EXPECT_TRUE(constant_time_equal(a->reveal(), b->reveal()));
        EXPECT_FALSE(constant_time_equal(a->reveal(), c->reveal()));
      }
    }
  }
}

// Whatever one side has otherwise, the other opens nothing.
TEST(Hpke, EveryInputIsBound) {
  const auto key = KemPrivateKey::generate(kFast.kem);
  const auto other_key = KemPrivateKey::generate(kFast.kem);
  const Bytes secret(32, std::byte{1}), other_secret(32, std::byte{2});
  const HpkePsk psk{secret, as_bytes("id")};
  auto sender = HpkeSender::setup(kFast, public_key_of(key), as_bytes("info"), psk);
  ASSERT_TRUE(sender);
  const auto sealed = seal(*sender, "aad", "text");
  const auto opens = [&](const HpkeSuite& suite, const KemPrivateKey& with, std::string_view info,
                         std::optional<HpkePsk> psk_given, std::string_view aad) {
    auto receiver = HpkeReceiver::setup(suite, with, sender->enc(), as_bytes(info), psk_given);
    EXPECT_TRUE(receiver);
    return open(*receiver, aad, sealed).has_value();
  };
  EXPECT_TRUE(opens(kFast, key, "info", psk, "aad"));
  EXPECT_FALSE(opens(kFast, other_key, "info", psk, "aad"));
  EXPECT_FALSE(opens(kFast, key, "inf0", psk, "aad"));
  EXPECT_FALSE(opens(kFast, key, "info", HpkePsk{other_secret, psk.id}, "aad"));
  EXPECT_FALSE(opens(kFast, key, "info", HpkePsk{secret, as_bytes("di")}, "aad"));
  EXPECT_FALSE(opens(kFast, key, "info", std::nullopt, "aad"));
  EXPECT_FALSE(opens(kFast, key, "info", psk, "aae"));
  EXPECT_FALSE(opens({kFast.kem, KdfId::hkdf_sha512, kFast.aead}, key, "info", psk, "aad"));
  EXPECT_FALSE(opens({kFast.kem, kFast.kdf, AeadId::chacha20_poly1305}, key, "info", psk, "aad"));
}

TEST(Hpke, RefusesBadInputs) {
  const auto key = KemPrivateKey::generate(kFast.kem);
  const auto public_key = public_key_of(key);
  const auto code = [&](const HpkeSuite& suite, BytesView info, std::optional<HpkePsk> psk) {
    const auto sender = HpkeSender::setup(suite, public_key, info, psk);
    return sender ? std::optional<Code>{} : sender.error().code();
  };
  const Bytes secret(32), huge(kHpkeInputBytesMax + 1);
  const auto largest = BytesView{huge}.first(kHpkeInputBytesMax);
  EXPECT_EQ(code({KemId::dhkem_p256, kFast.kdf, kFast.aead}, {}, {}), Code::invalid_argument);
  EXPECT_EQ(code(kFast, huge, {}), Code::too_large);
  EXPECT_EQ(code(kFast, {}, HpkePsk{huge, as_bytes("id")}), Code::too_large);
  EXPECT_EQ(code(kFast, {}, HpkePsk{secret, huge}), Code::too_large);
  EXPECT_EQ(code(kFast, {}, HpkePsk{BytesView{secret}.first(31), as_bytes("id")}),
            Code::invalid_argument);
  EXPECT_EQ(code(kFast, {}, HpkePsk{secret, {}}), Code::invalid_argument);
  EXPECT_EQ(code(kFast, largest, HpkePsk{largest, largest}), std::nullopt);
  EXPECT_EQ(HpkeReceiver::setup(kFast, key, secret, {}).error().code(), Code::malformed);
}

TEST(Hpke, ExportsHaveLimits) {
  const auto key = KemPrivateKey::generate(KemId::dhkem_x25519);
  for (const auto kdf : kKdfs) {
    const auto sender =
        HpkeSender::setup({kFast.kem, kdf, kFast.aead}, public_key_of(key), as_bytes("info"));
    ASSERT_TRUE(sender);
    EXPECT_TRUE(sender->export_secret({}, 0));
    EXPECT_TRUE(sender->export_secret({}, 255 * std::size_t{32}));
    EXPECT_FALSE(sender->export_secret({}, kHpkeInputBytesMax + 1));
    EXPECT_EQ(sender->export_secret(Bytes(kHpkeInputBytesMax + 1), 1).error().code(),
              Code::too_large);
  }
}

TEST(Hpke, ExportOnlySealsNothing) {
  const HpkeSuite suite{KemId::dhkem_x25519, KdfId::hkdf_sha256, AeadId::export_only};
  const auto key = KemPrivateKey::generate(suite.kem);
  auto sender = HpkeSender::setup(suite, public_key_of(key), {});
  ASSERT_TRUE(sender);
  auto receiver = HpkeReceiver::setup(suite, key, sender->enc(), {});
  ASSERT_TRUE(receiver);
  Bytes out(kAeadTagBytes);
  EXPECT_EQ(sender->seal({}, {}, out).error().code(), Code::unsupported);
  EXPECT_EQ(receiver->open({}, out, {}).error().code(), Code::unsupported);
  EXPECT_TRUE(constant_time_equal(sender->export_secret({}, 32)->reveal(),
                                  receiver->export_secret({}, 32)->reveal()));
}

TEST(HpkeSuite, ReadsNumbersFromTheWire) {
  EXPECT_EQ(HpkeSuite::parse(0x647a, 1, 2).value(), HpkeSuite{});
  EXPECT_EQ(HpkeSuite::parse(0x647a, 1, 0xffff)->aead, AeadId::export_only);
  EXPECT_EQ(HpkeSuite::parse(0x0011, 1, 1).error().value("id"), 0x11);
  EXPECT_EQ(HpkeSuite::parse(0x0020, 0x12, 1).error().code(), Code::unsupported);
  EXPECT_EQ(HpkeSuite::parse(0x0020, 1, 4).error().code(), Code::unsupported);
}

}  // namespace
}  // namespace tacit::crypto
