#include "cli/log_sink.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>

#include "core/unique_fd.hpp"

namespace tacit::cli {
namespace {

TEST(FdLogger, WritesOneLinePerRecordAboveItsLevel) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  const UniqueFd in{ends[0]};
  const UniqueFd out{ends[1]};
  const ManualClock clock;
  FdLogger log{out.get(), LogLevel::info, LogFormat::json, clock};
  log.debug("hidden");
  log.info("shown", {{"n", 1}});
  std::array<char, 256> buffer{};
  const auto n = ::read(in.get(), buffer.data(), buffer.size());
  ASSERT_GT(n, 0);
  const std::string_view line{buffer.data(), static_cast<std::size_t>(n)};
  EXPECT_NE(line.find(R"("level":"info","message":"shown","n":1})"), std::string_view::npos)
      << line;
  EXPECT_EQ(line.find("hidden"), std::string_view::npos);
  EXPECT_EQ(line.back(), '\n');
}

TEST(ParseLogLevel, KnowsItsNames) {
  EXPECT_EQ(parse_log_level("warning"), LogLevel::warning);
  EXPECT_FALSE(parse_log_level("loud"));
}

}  // namespace
}  // namespace tacit::cli
