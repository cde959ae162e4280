#include "core/log.hpp"

#include <gtest/gtest.h>

#include "core/secret.hpp"

namespace tacit {
namespace {

static_assert(!std::is_constructible_v<LogField, Literal, std::string>,
              "run-time text may be content");
static_assert(!std::is_constructible_v<LogField, Literal, std::string_view>);
static_assert(!std::is_constructible_v<LogField, Literal, SecretText>);

constexpr std::int64_t kTime = 1'777'636'800'123;  // 2026-05-01T12:00:00.123Z

TEST(FormatRecord, Text) {
  EXPECT_EQ(
      format_record(
          LogFormat::text, kTime, LogLevel::info, "server.listening",
          {{"port", 8080}, {"tls", true}, {"why", Code::io}, {"path", PublicText{"a b"}}}),
      "2026-05-01T12:00:00.123Z info    server.listening port=8080 tls=true why=io path=\"a b\"");
}

TEST(FormatRecord, JsonIsOneLineWhateverTheText) {
  EXPECT_EQ(
      format_record(LogFormat::json, kTime, LogLevel::warning, "x",
                    {{"name", PublicText{"q\"\n"}}, {"ms", 1.5}}),
      R"({"time":"2026-05-01T12:00:00.123Z","level":"warning","message":"x","name":"q\"\u000a","ms":1.5})");
}

}  // namespace
}  // namespace tacit
