#include "core/secret.hpp"

#include <gtest/gtest.h>

#include <sstream>
#include <type_traits>

namespace tacit {
namespace {

static_assert(!std::is_copy_constructible_v<SecretBytes> &&
              !std::is_copy_assignable_v<SecretBytes>);
static_assert(!std::is_copy_constructible_v<SecretText> && !std::is_copy_assignable_v<SecretText>);
static_assert(!std::is_convertible_v<SecretText, std::string_view>, "no silent way out");
template <class T>
concept Printable = requires(std::ostream& out, const T& value) { out << value; };
static_assert(!Printable<SecretText> && !Printable<SecretBytes>);

TEST(SecretText, AppendsAcrossGrowth) {
  SecretText text{"a"};
  std::string expected = "a";
  for (int i = 0; i < 200; ++i) {
    text.append("bc");
    expected += "bc";
  }
  EXPECT_EQ(text.reveal(), expected);
  text.append(text.reveal());  // from its own buffer
  EXPECT_EQ(text.reveal(), expected + expected);
}

TEST(SecretText, MovingLeavesNothingBehind) {
  SecretText a{"secret"};
  SecretText b{std::move(a)};
  EXPECT_EQ(b.reveal(), "secret");
  EXPECT_TRUE(a.empty());  // NOLINT(bugprone-use-after-move): the point of the test
  EXPECT_EQ(b.clone().reveal(), "secret");
}

TEST(Wipe, ZeroesItsBytes) {
  Bytes bytes(16, std::byte{0xAB});
  wipe(bytes);
  for (const auto byte : bytes) EXPECT_EQ(byte, std::byte{0});
}

TEST(ConstantTimeEqual, ComparesLengthAndBytes) {
  EXPECT_TRUE(constant_time_equal(as_bytes("abc"), as_bytes("abc")));
  EXPECT_FALSE(constant_time_equal(as_bytes("abc"), as_bytes("abd")));
  EXPECT_FALSE(constant_time_equal(as_bytes("abc"), as_bytes("ab")));
  EXPECT_TRUE(constant_time_equal({}, {}));
}

}  // namespace
}  // namespace tacit
