#include "registry/oci_manifest.hpp"

#include <gtest/gtest.h>

#include <string>

namespace tacit::registry {
namespace {

const std::string kDigest = "sha256:" + std::string(64, 'a');

std::string layer(const std::string& type, const std::string& more = "") {
  return R"({"mediaType":")" + type + R"(","digest":")" + kDigest + R"(","size":12)" + more + "}";
}

TEST(OciManifest, ReadsLayersOfOllamaAndOci) {
  const auto manifest = parse_oci_manifest(
      R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json",)"
      R"("config":{},"layers":[)" +
      layer("application/vnd.ollama.image.model") + "," +
      layer("application/vnd.ollama.image.license") + "," +
      layer("application/octet-stream",
            R"(,"annotations":{"org.opencontainers.image.title":"Tiny-Q4.GGUF"})") +
      "," + layer("application/octet-stream") + "]}");
  ASSERT_TRUE(manifest) << manifest.error().message();
  ASSERT_EQ(manifest->layers.size(), 4u);
  EXPECT_EQ(manifest->layers[0].size_bytes, 12u);
  EXPECT_EQ(layer_role(manifest->layers[0]), "weights");
  EXPECT_EQ(layer_role(manifest->layers[1]), "license");
  EXPECT_EQ(layer_role(manifest->layers[2]), "weights");
  EXPECT_EQ(layer_role(manifest->layers[3]), "");
}

TEST(OciManifest, ReadsAnIndex) {
  const auto index = parse_oci_manifest(R"({"manifests":[)" + layer("x") + "]}");
  ASSERT_TRUE(index);
  EXPECT_TRUE(index->layers.empty());
  EXPECT_EQ(index->manifests.size(), 1u);
}

TEST(OciManifest, RefusesWhatCannotBePinned) {
  const auto code = [](const std::string& json) {
    const auto manifest = parse_oci_manifest(json);
    return manifest ? Code::internal : manifest.error().code();
  };
  EXPECT_EQ(code("{}"), Code::malformed);
  EXPECT_EQ(code("[]"), Code::malformed);
  EXPECT_EQ(code(R"({"layers":[{"digest":"sha512:ab","size":1}]})"), Code::unsupported);
  EXPECT_EQ(code(R"({"layers":[{"digest":"sha256:../../etc/passwd","size":1}]})"), Code::malformed);
  EXPECT_EQ(code(R"({"layers":[{"digest":")" + kDigest + R"(","size":-1}]})"), Code::malformed);
  EXPECT_EQ(code(R"({"layers":[{"digest":")" + kDigest + R"(","size":1e3}]})"), Code::malformed);
  EXPECT_EQ(code(R"({"layers":{}})"), Code::malformed);
}

}  // namespace
}  // namespace tacit::registry
