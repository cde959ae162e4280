#include "core/text.hpp"

#include <gtest/gtest.h>

namespace tacit {
namespace {

TEST(IsUtf8, AcceptsExactlyRfc3629) {
  EXPECT_TRUE(is_utf8(""));
  EXPECT_TRUE(is_utf8("aé漢😀"));
  EXPECT_TRUE(is_utf8("\xF4\x8F\xBF\xBF"));   // U+10FFFF
  EXPECT_FALSE(is_utf8("\xC0\x80"));          // overlong
  EXPECT_FALSE(is_utf8("\xE0\x80\x80"));      // overlong
  EXPECT_FALSE(is_utf8("\xED\xA0\x80"));      // surrogate
  EXPECT_FALSE(is_utf8("\xF4\x90\x80\x80"));  // beyond U+10FFFF
  EXPECT_FALSE(is_utf8("\xE6\xBC"));          // cut short
  EXPECT_FALSE(is_utf8("\x80"));
}

TEST(Utf8CompletePrefix, HoldsBackACharacterThatIsNotWhole) {
  const std::string_view text = "a😀";
  EXPECT_EQ(utf8_complete_prefix(text), 5u);
  for (std::size_t n = 2; n <= 4; ++n) EXPECT_EQ(utf8_complete_prefix(text.substr(0, n)), 1u);
  EXPECT_EQ(utf8_complete_prefix("\x80\x80\x80\x80"), 4u);  // nothing to wait for
}

TEST(Hex, RoundTrips) {
  EXPECT_EQ(to_hex(as_bytes("\x01\xAB")), "01ab");
  EXPECT_EQ(as_text(from_hex("01AB").value()), "\x01\xAB");
  EXPECT_FALSE(from_hex("0"));
  EXPECT_FALSE(from_hex("0g"));
}

// RFC 4648, section 10.
TEST(Base64, Rfc4648Vectors) {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, coded] : vectors) {
    EXPECT_EQ(to_base64(as_bytes(plain)), coded);
    EXPECT_EQ(as_text(from_base64(coded).value()), plain);
  }
  EXPECT_FALSE(from_base64("Zg="));
  EXPECT_FALSE(from_base64("Zh=="));  // stray bits
  EXPECT_FALSE(from_base64("Z=g="));
  EXPECT_EQ(to_base64url(as_bytes("\xFB\xFF")), "-_8");
}

TEST(ParseU64, DigitsOnlyAndNoOverflow) {
  EXPECT_EQ(parse_u64("18446744073709551615"), 18446744073709551615u);
  EXPECT_FALSE(parse_u64("18446744073709551616"));
  for (const auto* bad : {"", "+1", "-1", "0x1", "1 ", " 1"}) EXPECT_FALSE(parse_u64(bad)) << bad;
}

TEST(HumanBytes, PicksAUnit) {
  EXPECT_EQ(human_bytes(512), "512 B");
  EXPECT_EQ(human_bytes(98'362'432), "93.8 MiB");
}

}  // namespace
}  // namespace tacit
