#include "api/error_map.hpp"

#include <gtest/gtest.h>

namespace tacit::api {
namespace {

TEST(ErrorShape, EveryCodeHasAnErrorStatus) {
  for (int i = 0; i <= static_cast<int>(Code::internal); ++i) {
    const auto shape = error_shape(static_cast<Code>(i));
    EXPECT_GE(shape.status, 400) << code_name(static_cast<Code>(i));
    EXPECT_LT(shape.status, 600);
    EXPECT_FALSE(shape.openai_type.empty());
    EXPECT_EQ(shape.retry_after_s > 0, shape.status == 429 || shape.status == 503);
  }
}

TEST(OpenAiError, NamesTheFieldOnlyForRequestErrors) {
  const auto field =
      Error{Code::invalid_argument, "must be a string"}.about(PublicText{"messages[0].role"});
  EXPECT_EQ(
      openai_error(field),
      R"({"error":{"message":"must be a string: messages[0].role","type":"invalid_request_error",)"
      R"("param":"messages[0].role","code":"invalid_value"}})");
  const auto missing =
      Error{Code::not_found, "no such model"}.about(PublicText{"a\"b"}).fix("Try tacit list");
  EXPECT_EQ(
      openai_error(missing),
      R"({"error":{"message":"no such model: a\"b. Try tacit list","type":"invalid_request_error",)"
      R"("param":null,"code":"not_found"}})");
}

TEST(OpenAiError, TakesAMorePreciseWord) {
  const Error missing{Code::not_found, "no such model"};
  EXPECT_NE(openai_error(missing, "model_not_found").find(R"("code":"model_not_found")"),
            std::string::npos);
}

}  // namespace
}  // namespace tacit::api
