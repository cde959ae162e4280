#include "crypto/hash.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <utility>

#include "core/text.hpp"

namespace tacit::crypto {
namespace {

struct Vector {
  std::string message;
  std::string_view digest;
};

// FIPS 180-4 examples, as published by NIST's Cryptographic Standards and Guidelines page.
TEST(Sha256, FollowsThePublishedExamples) {
  const Vector vectors[] = {
      {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
       "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
      {std::string(1'000'000, 'a'),
       "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
  };
  for (const auto& vector : vectors) {
    EXPECT_EQ(sha256_hex(as_bytes(vector.message)), vector.digest);
  }
}

TEST(Sha256, EveryCutOfTheInputGivesTheSameDigest) {
  std::string text;
  for (int i = 0; i < 300; ++i) text += static_cast<char>(i * 7);
  const auto whole = sha256(as_bytes(text));
  for (std::size_t cut = 0; cut <= text.size(); ++cut) {
    Sha256 hash;
    hash.update(as_bytes(std::string_view{text}.substr(0, cut)));
    hash.update(as_bytes(std::string_view{text}.substr(cut)));
    EXPECT_EQ(hash.finish(), whole) << cut;
  }
}

TEST(Sha256, MovesInTheMiddle) {
  Sha256 first;
  first.update(as_bytes("ab"));
  Sha256 second = std::move(first);
  second.update(as_bytes("c"));
  EXPECT_EQ(second.finish(), sha256(as_bytes("abc")));
}

// FIPS 180-4 and FIPS 202 examples for "abc" and, with SHAKE, for nothing.
TEST(Digest, FollowsThePublishedExamples) {
  const auto abc = as_bytes("abc");
  EXPECT_EQ(
      to_hex(sha384(abc)),
      "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca1"
      "34c825a7");
  EXPECT_EQ(
      to_hex(sha512(abc)),
      "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23"
      "a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
  EXPECT_EQ(to_hex(sha3_256(abc)),
            "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532");
  std::array<std::byte, 32> out{};
  shake128({}, out);
  EXPECT_EQ(to_hex(out), "7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26");
  shake256({}, out);
  EXPECT_EQ(to_hex(out), "46b9dd2b0ba88d13233b3feb743eeb243fcd52ea62b81b82b50c27646ed5762f");
}

TEST(Sha1, FollowsThePublishedExample) {
  EXPECT_EQ(to_hex(sha1({as_bytes("a"), as_bytes("bc")})),
            "a9993e364706816aba3e25717850c26c9cd0d89d");
}

TEST(Digest, PartsAreOneMessage) {
  for (const auto hash :
       {HashId::sha256, HashId::sha384, HashId::sha512, HashId::sha3_256, HashId::sha3_512}) {
    Bytes whole(digest_bytes(hash)), parts(digest_bytes(hash));
    digest(hash, {as_bytes("one two")}, whole);
    digest(hash, {as_bytes("one"), {}, as_bytes(" two")}, parts);
    EXPECT_EQ(whole, parts);
  }
}

// RFC 4231 sections 4.2, 4.3 and 4.7 (a key longer than a block).
TEST(HmacSha256, FollowsRfc4231) {
  EXPECT_EQ(to_hex(hmac_sha256(as_bytes(std::string(20, '\x0b')), as_bytes("Hi There"))),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(to_hex(hmac_sha256(as_bytes("Jefe"), as_bytes("what do ya want for nothing?"))),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(to_hex(hmac_sha256(as_bytes(std::string(131, '\xaa')),
                               as_bytes("Test Using Larger Than Block-Size Key - Hash Key First"))),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

TEST(HmacSha256, TakesAnEmptyKeyAndMessage) {
  EXPECT_EQ(to_hex(hmac_sha256({}, {})),
            "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

}  // namespace
}  // namespace tacit::crypto
