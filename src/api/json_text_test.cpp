#include "api/json_text.hpp"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include <limits>

namespace tacit::api {
namespace {

TEST(JsonText, EveryByteComesBackThroughAParser) {
  std::string all;
  for (int c = 0; c < 128; ++c) all += static_cast<char>(c);
  all += "é漢😀\xE2\x80\xA8";
  JsonText out;
  out.string(all);
  const auto parsed = boost::json::parse(out.text().reveal());
  EXPECT_EQ(std::string_view(parsed.get_string()), all);
}

TEST(JsonText, Numbers) {
  JsonText out;
  out.number(0).raw(",").number(std::numeric_limits<std::int64_t>::min()).raw(",").boolean(true);
  EXPECT_EQ(out.text().reveal(), "0,-9223372036854775808,true");
}

}  // namespace
}  // namespace tacit::api
