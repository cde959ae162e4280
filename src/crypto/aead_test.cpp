#include "crypto/aead.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>

#include "core/text.hpp"

namespace tacit::crypto {
namespace {

constexpr AeadId kAll[] = {AeadId::aes_128_gcm, AeadId::aes_256_gcm, AeadId::chacha20_poly1305};

Bytes hex(std::string_view text) { return from_hex(text).value_or(Bytes{}); }

Aead aead_of(AeadId id, std::byte fill = std::byte{1}) {
  auto aead = Aead::make(id, Bytes(aead_key_bytes(id), fill));
  EXPECT_TRUE(aead);
  return *std::move(aead);
}

AeadNonce nonce_of(std::string_view text) {
  AeadNonce nonce{};
  std::ranges::copy(hex(text), nonce.begin());
  return nonce;
}

TEST(Aead, FollowsPublishedVectors) {
  struct Vector {
    AeadId id;
    std::string_view key, nonce, aad, plaintext, sealed;
  };
  const Vector vectors[] = {
      // "The Galois/Counter Mode of Operation", McGrew and Viega, test cases 4 and 16.
      {AeadId::aes_128_gcm, "feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
       "feedfacedeadbeeffeedfacedeadbeefabaddad2",
       "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a"
       "6"
       "b525b16aedf5aa0de657ba637b39",
       "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e21d514b25466931c7d8f6a5aac8"
       "4"
       "aa051ba30b396a0aac973d58e0915bc94fbc3221a5db94fae95ae7121a47"},
      {AeadId::aes_256_gcm, "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308",
       "cafebabefacedbaddecaf888", "feedfacedeadbeeffeedfacedeadbeefabaddad2",
       "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a"
       "6"
       "b525b16aedf5aa0de657ba637b39",
       "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b10568"
       "28"
       "838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b"},
      // RFC 8439 section 2.8.2.
      {AeadId::chacha20_poly1305,
       "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
       "070000004041424344454647", "50515253c0c1c2c3c4c5c6c7",
       "4c616469657320616e642047656e746c656d656e206f662074686520636c617373206f66202739393a204966204"
       "920"
       "636f756c64206f6666657220796f75206f6e6c79206f6e652074697020666f7220746865206675747572652c207"
       "375"
       "6e73637265656e20776f756c642062652069742e",
       "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d63dbea45e8ca9671282fafb69da9"
       "272"
       "8b1a71de0a9e060b2905d6a5b67ecd3b3692ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4"
       "831"
       "d7bc3ff4def08e4b7a9de576d26586cec64b61161ae10b594f09e26a7e902ecbd0600691"},
  };
  for (const auto& vector : vectors) {
    auto aead = Aead::make(vector.id, hex(vector.key));
    ASSERT_TRUE(aead);
    const auto plaintext = hex(vector.plaintext);
    Bytes sealed(plaintext.size() + kAeadTagBytes);
    ASSERT_TRUE(aead->seal(nonce_of(vector.nonce), hex(vector.aad), plaintext, sealed));
    EXPECT_EQ(to_hex(sealed), vector.sealed);
  }
}

TEST(Aead, OpensWhatItSealedInPlaceAndApart) {
  std::mt19937 random{7};
  for (const auto id : kAll) {
    auto aead = aead_of(id);
    for (const std::size_t size : {0u, 1u, 15u, 16u, 17u, 255u, 4096u, 65536u}) {
      Bytes plaintext(size);
      for (auto& byte : plaintext) byte = static_cast<std::byte>(random());
      const auto aad = as_bytes(std::string_view{"associated"}.substr(0, size % 11));
      const AeadNonce nonce{std::byte{9}, static_cast<std::byte>(size)};
      Bytes apart(size + kAeadTagBytes);
      ASSERT_TRUE(aead.seal(nonce, aad, plaintext, apart));
      Bytes in_place = plaintext;
      in_place.resize(size + kAeadTagBytes);
      ASSERT_TRUE(aead.seal(nonce, aad, BytesView{in_place}.first(size), in_place));
      EXPECT_EQ(in_place, apart);

      Bytes opened(size);
      ASSERT_TRUE(aead.open(nonce, aad, apart, opened));
      EXPECT_EQ(opened, plaintext);
      ASSERT_TRUE(aead.open(nonce, aad, in_place, std::span{in_place}.first(size)));
      EXPECT_TRUE(std::ranges::equal(std::span{in_place}.first(size), plaintext));
    }
  }
}

TEST(Aead, AFlippedBitAnywhereOpensNothingAndLeavesZeros) {
  for (const auto id : kAll) {
    auto aead = aead_of(id);
    const Bytes plaintext(40, std::byte{0x5a});
    const Bytes aad(5, std::byte{0x33});
    const AeadNonce nonce{};
    Bytes sealed(plaintext.size() + kAeadTagBytes);
    ASSERT_TRUE(aead.seal(nonce, aad, plaintext, sealed));
    for (std::size_t bit = 0; bit < sealed.size() * 8; ++bit) {
      Bytes damaged = sealed;
      damaged[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
      Bytes out(plaintext.size(), std::byte{0xee});
      const auto result = aead.open(nonce, aad, damaged, out);
      ASSERT_FALSE(result) << bit;
      EXPECT_EQ(result.error().code(), Code::corrupt);
      EXPECT_EQ(out, Bytes(plaintext.size())) << bit;
    }
    Bytes out(plaintext.size());
    EXPECT_FALSE(aead.open(nonce, {}, sealed, out));
    EXPECT_FALSE(aead.open(AeadNonce{std::byte{1}}, aad, sealed, out));
    EXPECT_FALSE(aead_of(id, std::byte{2}).open(nonce, aad, sealed, out));
    // A failure leaves the object as good as before.
    ASSERT_TRUE(aead.open(nonce, aad, sealed, out));
    EXPECT_EQ(out, plaintext);
  }
}

TEST(Aead, RefusesWrongSizesAndPartialOverlap) {
  EXPECT_EQ(Aead::make(AeadId::aes_128_gcm, Bytes(32)).error().code(), Code::invalid_argument);
  EXPECT_EQ(Aead::make(AeadId::export_only, {}).error().code(), Code::unsupported);
  auto aead = aead_of(AeadId::aes_256_gcm);
  Bytes buffer(64);
  const std::span all{buffer};
  const AeadNonce nonce{};
  EXPECT_FALSE(aead.seal(nonce, {}, all.first(16), all.first(31)));
  EXPECT_FALSE(aead.seal(nonce, {}, all.first(16), all.subspan(8, 32)));
  EXPECT_FALSE(aead.seal(nonce, {}, all.subspan(8, 16), all.first(32)));
  EXPECT_EQ(aead.open(nonce, {}, all.first(15), all.first(0)).error().code(), Code::malformed);
  EXPECT_TRUE(aead.seal(nonce, {}, all.first(16), all.subspan(16, 32)));
}

TEST(Aead, OnceIsTheSame) {
  const Bytes key(32, std::byte{1});
  const AeadNonce nonce{std::byte{4}};
  const auto sealed = aead_seal_once(AeadId::aes_256_gcm, key, nonce, {}, as_bytes("text"));
  ASSERT_TRUE(sealed);
  Bytes direct(4 + kAeadTagBytes);
  ASSERT_TRUE(aead_of(AeadId::aes_256_gcm).seal(nonce, {}, as_bytes("text"), direct));
  EXPECT_EQ(*sealed, direct);
  const auto opened = aead_open_once(AeadId::aes_256_gcm, key, nonce, {}, *sealed);
  ASSERT_TRUE(opened);
  EXPECT_EQ(as_text(opened->reveal()), "text");
  EXPECT_EQ(aead_open_once(AeadId::aes_256_gcm, key, nonce, as_bytes("x"), *sealed).error().code(),
            Code::corrupt);
  EXPECT_EQ(aead_open_once(AeadId::aes_256_gcm, key, nonce, {}, {}).error().code(),
            Code::malformed);
}

TEST(AeadSequence, KeepsOrderAndStaysWhereItFails) {
  const Bytes key(32, std::byte{3});
  const AeadNonce base{std::byte{0xff}, std::byte{0xfe}};
  auto sender = AeadSequence::make(AeadId::chacha20_poly1305, key, base);
  auto receiver = AeadSequence::make(AeadId::chacha20_poly1305, key, base);
  ASSERT_TRUE(sender && receiver);
  std::array<Bytes, 3> frames;
  for (auto& frame : frames) {
    frame.resize(1 + kAeadTagBytes);
    ASSERT_TRUE(sender->seal({}, Bytes(1, std::byte{1}), frame));
  }
  EXPECT_EQ(sender->position(), 3u);
  Bytes out(1);
  EXPECT_FALSE(receiver->open({}, frames[1], out));  // one was lost
  EXPECT_EQ(receiver->position(), 0u);
  ASSERT_TRUE(receiver->open({}, frames[0], out));
  EXPECT_FALSE(receiver->open({}, frames[0], out));  // repeated
  ASSERT_TRUE(receiver->open({}, frames[1], out));
  ASSERT_TRUE(receiver->open({}, frames[2], out));
}

TEST(AeadSequence, NonceIsTheBaseXorTheNumber) {
  const Bytes key(16, std::byte{3});
  const AeadNonce base{std::byte{1}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, std::byte{0xff}};
  auto sequence = AeadSequence::make(AeadId::aes_128_gcm, key, base);
  auto aead = Aead::make(AeadId::aes_128_gcm, key);
  ASSERT_TRUE(sequence && aead);
  for (unsigned i = 0; i < 300; ++i) {
    auto nonce = base;
    nonce[11] ^= static_cast<std::byte>(i);
    nonce[10] ^= static_cast<std::byte>(i >> 8);
    Bytes numbered(kAeadTagBytes), direct(kAeadTagBytes);
    ASSERT_TRUE(sequence->seal({}, {}, numbered));
    ASSERT_TRUE(aead->seal(nonce, {}, {}, direct));
    ASSERT_EQ(numbered, direct) << i;
  }
}

}  // namespace
}  // namespace tacit::crypto
