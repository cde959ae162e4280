#include "registry/url.hpp"

#include <gtest/gtest.h>

namespace tacit::registry {
namespace {

TEST(IndexUrl, TakesCredentialsApart) {
  const auto index = parse_index_url("https://user:p%40ss@host.example:8443/simple//").value();
  EXPECT_EQ(index.url, "https://host.example:8443/simple");
  EXPECT_EQ(index.authorization, "Basic dXNlcjpwQHNz");  // user:p@ss
  EXPECT_EQ(index.origin, "https://host.example:8443");
  EXPECT_EQ(parse_index_url("http://h/s?x#y").value().url, "http://h/s");
  EXPECT_EQ(parse_index_url("http://h").value().authorization, "");
}

TEST(IndexUrl, RefusesWithoutQuotingIt) {
  for (const auto* bad :
       {"", "pypi.org/simple", "ftp://h/", "file:///simple", "https://",
        "https://user:secret@h/a b", "javascript:alert(1)", "https://u:p@a:4x@b:1@c/s"}) {
    const auto index = parse_index_url(bad);
    ASSERT_FALSE(index) << bad;
    EXPECT_EQ(index.error().code(), Code::invalid_argument);
    EXPECT_EQ(index.error().explain().find("secret"), std::string::npos);
  }
}

TEST(ResolveUrl, FollowsRfc3986) {
  const auto resolved = [](std::string_view reference) {
    const auto url = resolve_url("https://host/simple/name/", reference);
    return url ? *url : "refused";
  };
  EXPECT_EQ(resolved("https://files.example/a.whl#sha256=1"), "https://files.example/a.whl");
  EXPECT_EQ(resolved("../../packages/a-1%2B2.whl"), "https://host/packages/a-1%2B2.whl");
  EXPECT_EQ(resolved("/packages/a.whl?x=1"), "https://host/packages/a.whl?x=1");
  EXPECT_EQ(resolved("//cdn.example/a.whl"), "https://cdn.example/a.whl");
  EXPECT_EQ(resolved("a.whl"), "https://host/simple/name/a.whl");
  EXPECT_EQ(resolved("./b/./../a.whl"), "https://host/simple/name/a.whl");
  EXPECT_EQ(resolved("../../../../../a.whl"), "https://host/a.whl");
  EXPECT_EQ(resolved(".."), "https://host/simple/");
  EXPECT_EQ(resolved("a/../../b?c=../d"), "https://host/simple/b?c=../d");
  for (const auto* bad : {"file:///etc/passwd", "ftp://h/a", "https://u:p@h/a", "a b.whl",
                          "http://[::1", "data:,x", "\x01"}) {
    EXPECT_EQ(resolved(bad), "refused") << bad;
  }
}

TEST(Origin, ComparesSchemeHostAndPort) {
  EXPECT_EQ(origin_of("https://Host/x"), "https://host:443");
  EXPECT_EQ(origin_of("http://host"), "http://host:80");
  EXPECT_EQ(origin_of("http://host:8080/"), "http://host:8080");
  EXPECT_EQ(origin_of("nonsense"), "");
  EXPECT_EQ(host_of("https://u:p@host:1/x"), "host:1");
}

}  // namespace
}  // namespace tacit::registry
