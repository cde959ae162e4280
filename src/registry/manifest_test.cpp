#include "registry/manifest.hpp"

#include <gtest/gtest.h>

#include <string>

#include "store/file.hpp"
#include "store/testing/temp_folder.hpp"

namespace tacit::registry {
namespace {

using store::testing::TempFolder;

InstalledModel model(const std::string& name) {
  return {name,
          "A \"title\"",
          "Apache-2.0",
          98'362'432,
          store::Digest::parse(std::string(64, 'b')).value(),
          1'800'000'000};
}

TEST(Manifest, RoundTrips) {
  const auto parsed = parse_manifest(manifest_json(model("smollm2:135m"))).value();
  EXPECT_EQ(parsed.name, "smollm2:135m");
  EXPECT_EQ(parsed.title, "A \"title\"");
  EXPECT_EQ(parsed.license, "Apache-2.0");
  EXPECT_EQ(parsed.size_bytes, 98'362'432u);
  EXPECT_EQ(parsed.weights.hex(), std::string(64, 'b'));
  EXPECT_EQ(parsed.pulled_unix_s, 1'800'000'000);
}

TEST(Manifest, EveryTruncationIsRefused) {
  const auto json = manifest_json(model("a"));
  for (std::size_t size = 0; size + 1 < json.size(); ++size) {
    EXPECT_FALSE(parse_manifest(std::string_view{json}.substr(0, size))) << size;
  }
}

TEST(ManifestFolder, WritesReadsAndLists) {
  const TempFolder folder;
  NullLogger log;
  const auto manifests = ManifestFolder::open(folder.path()).value();
  EXPECT_TRUE(manifests.list(log).empty());
  ASSERT_TRUE(manifests.write(model("b:1")));
  ASSERT_TRUE(manifests.write(model("acme/a:1")));
  EXPECT_EQ(manifests.read("b:1").value().name, "b:1");
  const auto all = manifests.list(log);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].name, "acme/a:1");
}

TEST(ManifestFolder, NeverLeavesItsFolder) {
  const TempFolder folder;
  const auto manifests = ManifestFolder::open(folder.path()).value();
  EXPECT_EQ(manifests.read("../../etc/passwd").error().code(), Code::not_found);
  EXPECT_EQ(manifests.read("").error().code(), Code::not_found);
  EXPECT_EQ(manifests.read("none").error().code(), Code::not_found);
}

TEST(ManifestFolder, IgnoresDamagedAndMisplacedFiles) {
  const TempFolder folder;
  NullLogger log;
  const auto manifests = ManifestFolder::open(folder.path()).value();
  ASSERT_TRUE(manifests.write(model("good")));
  const auto put = [&](const char* name, std::string_view text) {
    ASSERT_TRUE(store::write_file_atomically(folder / "manifests" / name, as_bytes(text)));
  };
  put("damaged.json", "{");
  put("other.json", manifest_json(model("good")));
  put("notes.txt", "not a manifest");
  EXPECT_EQ(manifests.list(log).size(), 1u);
  EXPECT_EQ(manifests.read("damaged").error().code(), Code::malformed);
  EXPECT_EQ(manifests.read("other").error().code(), Code::malformed);
}

}  // namespace
}  // namespace tacit::registry
