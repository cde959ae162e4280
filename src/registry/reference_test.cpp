#include "registry/reference.hpp"

#include <gtest/gtest.h>

#include <string>

namespace tacit::registry {
namespace {

std::string round(std::string_view text) {
  const auto reference = parse_reference(text);
  return reference ? reference_text(*reference) : "refused: " + reference.error().message();
}

TEST(Reference, ReadsEveryKind) {
  const std::string digest(64, 'a');
  EXPECT_EQ(round("hf:Acme/Tiny-GGUF"), "hf:Acme/Tiny-GGUF@main");
  EXPECT_EQ(round("hf:Acme/Tiny/sub/a.gguf"), "hf:Acme/Tiny@main/sub/a.gguf");
  EXPECT_EQ(round("hf:Acme/Tiny@v1.0/*Q4*"), "hf:Acme/Tiny@v1.0/*Q4*");
  EXPECT_EQ(round("hf:Acme/Tiny@v1.0"), "hf:Acme/Tiny@v1.0");
  EXPECT_EQ(round("ollama:tiny"), "ollama:library/tiny:latest");
  EXPECT_EQ(round("ollama:acme/tiny:q4"), "ollama:acme/tiny:q4");
  EXPECT_EQ(round("oci://ghcr.io/acme/a/b"), "oci://ghcr.io/acme/a/b:latest");
  EXPECT_EQ(round("oci://localhost:5000/a:1#x.gguf"), "oci://localhost:5000/a:1#x.gguf");
  EXPECT_EQ(round("oci://h/a:1@sha256:" + digest), "oci://h/a@sha256:" + digest);
  EXPECT_EQ(round("https://h/a.gguf?x=1"), "https://h/a.gguf?x=1");
  EXPECT_EQ(round("https://h/a.gguf#sha256=" + digest), "https://h/a.gguf#sha256=" + digest);
  EXPECT_EQ(round("file:a b.gguf"), "file:a b.gguf");
  EXPECT_EQ(round("file:///x/a.gguf"), "file:/x/a.gguf");
  EXPECT_EQ(round("pypi:tiny==1.0#tiny/a.gguf"), "pypi:tiny==1.0#tiny/a.gguf");
}

TEST(Reference, RefusesWhatMustNotGetIntoAnAddress) {
  for (const char* odd : {"hf:",
                          "hf:a",
                          "hf:a/b/../c",
                          "hf:a/b@/x",
                          "hf:a/b@x y/z",
                          "hf:../..",
                          "hf:a/b/\n",
                          "ollama:",
                          "ollama:a/b/c",
                          "ollama:a:",
                          "oci://",
                          "oci://host",
                          "oci://host/",
                          "oci://h/a:",
                          "oci://u@h/a",
                          "oci://h:0/a",
                          "oci://h:99999/a",
                          "oci://h/a@sha256:1",
                          "oci://h/../a",
                          "https://",
                          "https://u:p@h/a",
                          "https://h/a#sha256=12",
                          "https://h/a#x",
                          "file:",
                          "pypi:a#b",
                          "pypi:a==1",
                          "pypi:a==1#../b",
                          "ftp://h/a",
                          "smollm2"}) {
    const auto reference = parse_reference(odd);
    EXPECT_FALSE(reference) << odd;
    if (!reference) EXPECT_EQ(reference.error().code(), Code::malformed) << odd;
  }
  EXPECT_FALSE(parse_reference("hf:a/b/" + std::string(4000, 'x')));
  EXPECT_FALSE(is_reference("smollm2:135m"));
  EXPECT_TRUE(is_reference("hf:a"));
}

TEST(Pattern, FindsFiles) {
  EXPECT_TRUE(matches_pattern("", "a.gguf"));
  EXPECT_TRUE(matches_pattern("a.gguf", "a.gguf"));
  EXPECT_FALSE(matches_pattern("a.gguf", "sub/a.gguf"));
  EXPECT_TRUE(matches_pattern("*Q4*", "sub/tiny-q4_0.gguf"));
  EXPECT_TRUE(matches_pattern("sub/*", "sub/tiny.gguf"));
  EXPECT_FALSE(matches_pattern("sub/?.gguf", "sub/tiny.gguf"));
  EXPECT_TRUE(matches_pattern("Q4_K_M", "tiny-q4_k_m.gguf"));
  EXPECT_TRUE(matches_pattern("Q4_K_M", "q4_k_m/tiny-00001-of-00002.gguf"));
  EXPECT_FALSE(matches_pattern("Q4_K", "tiny-q4_k_m.gguf"));
  EXPECT_FALSE(matches_pattern("*a*a*a*a*a*a*a*a*b", std::string(200, 'a')));
}

TEST(Pattern, KnowsParts) {
  EXPECT_EQ(split_parts("big-00002-of-00003.gguf"), 3u);
  EXPECT_EQ(split_parts("big.gguf"), 0u);
  EXPECT_EQ(split_parts("big-0000x-of-00003.gguf"), 0u);
  EXPECT_EQ(split_parts("-00001-of-00003.gguf"), 3u);
}

}  // namespace
}  // namespace tacit::registry
