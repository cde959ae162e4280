#include "crypto/hkdf.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "core/text.hpp"

namespace tacit::crypto {
namespace {

Bytes hex(std::string_view text) {
  auto bytes = from_hex(text);
  EXPECT_TRUE(bytes.has_value()) << text;
  return bytes.value_or(Bytes{});
}

struct Rfc5869 {
  std::string_view ikm, salt, info, prk, okm;
};

// RFC 5869 appendix A.1 to A.3.
constexpr Rfc5869 kRfc5869[] = {
    {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c",
     "f0f1f2f3f4f5f6f7f8f9", "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
     "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"},
    {"000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2021222324252627"
     "28292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f",
     "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f8081828384858687"
     "88898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
     "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7"
     "d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
     "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
     "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e5"
     "90e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87"},
    {"0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
     "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
     "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"},
};

TEST(Hkdf, FollowsRfc5869) {
  for (const auto& vector : kRfc5869) {
    Hkdf hkdf{HashId::sha256};
    Bytes prk(hkdf.prk_bytes());
    hkdf.extract(hex(vector.salt), {hex(vector.ikm)}, prk);
    EXPECT_EQ(to_hex(prk), vector.prk);
    Bytes okm(vector.okm.size() / 2);
    ASSERT_TRUE(hkdf.expand(prk, {hex(vector.info)}, okm));
    EXPECT_EQ(to_hex(okm), vector.okm);
  }
}

TEST(Hkdf, OneObjectServesManyKeysAndPartsJoin) {
  Hkdf reused{HashId::sha384};
  for (int round = 0; round < 3; ++round) {
    const std::string ikm(static_cast<std::size_t>(round * 37), 'k');
    Bytes whole(48), parts(48), fresh(48);
    reused.extract(as_bytes("salt"), {as_bytes(ikm), as_bytes("tail")}, parts);
    reused.extract(as_bytes("salt"), {as_bytes(ikm + "tail")}, whole);
    Hkdf{HashId::sha384}.extract(as_bytes("salt"), {as_bytes(ikm + "tail")}, fresh);
    EXPECT_EQ(parts, whole);
    EXPECT_EQ(parts, fresh);
  }
}

TEST(Hkdf, ExpandIsAPrefixOfLongerExpand) {
  for (const auto hash : {HashId::sha256, HashId::sha384, HashId::sha512}) {
    Hkdf hkdf{hash};
    const Bytes prk(hkdf.prk_bytes(), std::byte{7});
    Bytes longest(255 * hkdf.prk_bytes());
    ASSERT_TRUE(hkdf.expand(prk, {as_bytes("info")}, longest));
    for (const std::size_t n : {0u, 1u, 31u, 32u, 33u, 64u, 65u, 200u}) {
      Bytes out(n);
      ASSERT_TRUE(hkdf.expand(prk, {as_bytes("in"), as_bytes("fo")}, out));
      EXPECT_TRUE(std::ranges::equal(out, std::span{longest}.first(n))) << n;
    }
    Bytes over(longest.size() + 1);
    const auto refused = hkdf.expand(prk, {}, over);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), Code::invalid_argument);
  }
}

// RFC 4231 sections 4.2 and 4.7 with the longer hashes.
TEST(Hmac, FollowsRfc4231) {
  Bytes mac(48);
  Hmac{HashId::sha384}.compute(Bytes(20, std::byte{0x0b}), {as_bytes("Hi There")}, mac);
  EXPECT_EQ(to_hex(mac),
            "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59cfaea9ea9076ede7f4af152"
            "e8b2fa9cb6");
  mac.resize(64);
  Hmac{HashId::sha512}.compute(Bytes(131, std::byte{0xaa}),
                               {as_bytes("Test Using Larger Than Block-Size Key - Hash Key First")},
                               mac);
  EXPECT_EQ(to_hex(mac),
            "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f3526b56d037e05f2598bd0fd2"
            "215d6a1e5295e64f73f63f0aec8b915a985d786598");
}

}  // namespace
}  // namespace tacit::crypto
