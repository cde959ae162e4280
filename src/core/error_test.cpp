#include "core/error.hpp"

#include <gtest/gtest.h>

#include <memory>

namespace tacit {
namespace {

static_assert(!std::is_constructible_v<Literal, std::string>,
              "error text is known at compile time");

Result<std::unique_ptr<int>> half(int n) {
  if (n % 2 != 0) return fail(Error{Code::invalid_argument, "odd number"}.with("value", n));
  return std::make_unique<int>(n / 2);
}
Result<int> quarter(int n) {
  TACIT_TRY(const auto h, half(n));
  TACIT_TRY(const auto q, half(*h));
  return *q;
}
Result<void> even(int n) {
  const auto checked = [n]() -> Result<void> {
    TACIT_TRY([[maybe_unused]] const auto h, half(n));
    return {};
  };
  TACIT_CHECK(checked());
  return {};
}

TEST(Result, TryPropagatesValueAndError) {
  EXPECT_EQ(quarter(8).value(), 2);
  EXPECT_EQ(quarter(6).error().value("value"), 3);
  EXPECT_TRUE(even(2));
  EXPECT_FALSE(even(3));
}

TEST(Error, ExplainsWithNumbersSubjectAndFix) {
  const auto error = Error{Code::context_exceeded, "prompt is too long"}
                         .with("tokens", 5000)
                         .with("limit", 4096)
                         .about(PublicText{"smollm2"})
                         .fix("Shorten it or raise --context");
  EXPECT_EQ(error.message(), "prompt is too long (tokens 5000, limit 4096): smollm2");
  EXPECT_EQ(error.explain(), error.message() + ". Shorten it or raise --context");
  EXPECT_EQ(error.value("limit"), 4096);
  EXPECT_EQ(error.value("other", -1), -1);
}

TEST(Code, EveryCodeHasItsOwnName) {
  std::string seen;
  for (int i = 0; i <= static_cast<int>(Code::internal); ++i) {
    const std::string name{code_name(static_cast<Code>(i))};
    EXPECT_NE(name, "unknown");
    EXPECT_EQ(seen.find("," + name + ","), std::string::npos);
    seen += "," + name + ",";
  }
}

}  // namespace
}  // namespace tacit
