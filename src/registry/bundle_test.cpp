#include "registry/bundle.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <random>
#include <string>

#include "formats/testing/gguf_builder.hpp"
#include "registry/tar.hpp"
#include "store/file.hpp"
#include "store/testing/temp_folder.hpp"

namespace tacit::registry {
namespace {

using formats::testing::GgufBuilder;
using store::testing::TempFolder;

TEST(Tar, HeadersRoundTrip) {
  for (const std::uint64_t size : {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{077777777777},
                                   std::uint64_t{1} << 33, std::uint64_t{1} << 63, UINT64_MAX}) {
    const auto entry = parse_tar_header(tar_header("blobs/a", size));
    ASSERT_TRUE(entry) << size;
    EXPECT_EQ(entry->size_bytes, size);
    EXPECT_EQ(entry->name, "blobs/a");
  }
  EXPECT_EQ(tar_padding(0), 0u);
  EXPECT_EQ(tar_padding(1), 511u);
  EXPECT_EQ(tar_padding(512), 0u);
}

TEST(Tar, AnyOtherByteIsNoticed) {
  const auto good = tar_header("blobs/a", 12345);
  for (std::size_t i = 0; i < good.size(); ++i) {
    auto bad = good;
    bad[i] ^= std::byte{1};
    const auto entry = parse_tar_header(bad);
    EXPECT_FALSE(entry && entry->name == "blobs/a" && entry->size_bytes == 12345) << i;
  }
}

class Bundles : public ::testing::Test {
 protected:
  ModelStore open(const char* name) {
    RegistryOptions options;
    options.models_root = folder / name;
    return ModelStore::open(options, log).value();
  }
  void add(ModelStore& models, const std::string& name, const std::string& title) {
    const auto file = folder / "in.gguf";
    std::filesystem::remove(file);
    std::ofstream{file, std::ios::binary} << as_text(GgufBuilder{}
                                                         .add_text("general.architecture", "llama")
                                                         .add_text("general.name", title)
                                                         .tensor("t", {1024, 8}, 0)
                                                         .build());
    std::ofstream{folder / "LICENSE"} << "the licence of " << title;
    ModelStore::ImportOptions options;
    options.name = name;
    options.source = "file:in.gguf";
    options.files = {folder / "LICENSE"};
    options.roles = {"license"};
    options.may_link = false;
    ASSERT_TRUE(models.import_file(file, options, nullptr));
  }
  TempFolder folder;
  NullLogger log;
};

TEST_F(Bundles, CarryModelsAndEverythingOfThem) {
  auto here = open("here");
  add(here, "a:1", "A");
  add(here, "b:1", "B");
  std::uint64_t done = 0;
  std::uint64_t total = 0;
  const auto meter = [&](std::uint64_t d, std::uint64_t t) {
    done = d;
    total = t;
  };
  const auto size = export_bundle(here, {"a:1", "b:1", "a:1"}, folder / "all.tacit", meter);
  ASSERT_TRUE(size) << size.error().message();
  EXPECT_EQ(std::filesystem::file_size(folder / "all.tacit"), *size);
  EXPECT_EQ(done, total);
  EXPECT_TRUE(is_bundle(folder / "all.tacit"));
  EXPECT_FALSE(is_bundle(folder / "in.gguf"));

  auto there = open("there");
  const auto imported = import_bundle(there, folder / "all.tacit", false, meter);
  ASSERT_TRUE(imported) << imported.error().message();
  EXPECT_EQ(imported->size(), 2u);
  EXPECT_EQ(there.find("a:1")->pinned_by, "bundle");
  EXPECT_EQ(there.find("b:1")->files.at(0).role, "license");
  EXPECT_TRUE(there.check({}, nullptr)->good());
  EXPECT_EQ(there.blobs().list()->size(), 4u);

  // The same models give the same file.
  ASSERT_TRUE(export_bundle(here, {"b:1", "a:1"}, folder / "again.tacit", nullptr));
  EXPECT_EQ(store::read_file(folder / "all.tacit", 1 << 22).value(),
            store::read_file(folder / "again.tacit", 1 << 22).value());
}

TEST_F(Bundles, NothingDamagedGetsIn) {
  auto here = open("here");
  add(here, "a:1", "A");
  ASSERT_TRUE(export_bundle(here, {"a:1"}, folder / "a.tacit", nullptr));
  const auto good = store::read_file(folder / "a.tacit", 1 << 22).value();
  std::mt19937 random{7};
  for (int i = 0; i < 60; ++i) {
    auto bad = good;
    const auto at = random() % (bad.size() - 2 * kTarBlockBytes);
    bad[at] ^= static_cast<std::byte>(1 + random() % 255);
    if (i % 5 == 0) bad.resize(random() % (bad.size() - 2 * kTarBlockBytes));
    ASSERT_TRUE(store::write_file_atomically(folder / "bad.tacit", bad));
    std::filesystem::remove_all(folder / "there");
    auto there = open("there");
    const auto imported = import_bundle(there, folder / "bad.tacit", false, nullptr);
    const auto check = there.check({}, nullptr);
    ASSERT_TRUE(check);
    EXPECT_TRUE(check->good()) << "byte " << at;
    if (!imported) EXPECT_FALSE(there.find("a:1"));
  }
}

TEST_F(Bundles, GoesOnWhereItWas) {
  auto here = open("here");
  add(here, "a:1", "A");
  ASSERT_TRUE(export_bundle(here, {"a:1"}, folder / "a.tacit", nullptr));
  auto there = open("there");
  const auto weights = here.find("a:1")->weights;
  const auto bytes = store::read_file(here.blobs().path(weights), 1 << 20).value();
  {
    auto writer = there.blobs().resume(weights, bytes.size()).value();
    ASSERT_TRUE(writer->append(BytesView{bytes}.first(1000)));
  }
  ASSERT_TRUE(import_bundle(there, folder / "a.tacit", false, nullptr));
  EXPECT_TRUE(there.check({}, nullptr)->good());
}

TEST_F(Bundles, DoNotReplaceOtherWeights) {
  auto here = open("here");
  add(here, "a:1", "A");
  ASSERT_TRUE(export_bundle(here, {"a:1"}, folder / "a.tacit", nullptr));
  auto there = open("there");
  add(there, "a:1", "Another");
  const auto refused = import_bundle(there, folder / "a.tacit", false, nullptr);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::already_exists);
  EXPECT_TRUE(import_bundle(there, folder / "a.tacit", true, nullptr));
}

TEST_F(Bundles, DamagedBlobsAreNotExported) {
  auto here = open("here");
  add(here, "a:1", "A");
  const auto path = here.blobs().path(here.find("a:1")->weights);
  ::chmod(path.c_str(), 0644);
  {
    std::fstream file{path, std::ios::in | std::ios::out | std::ios::binary};
    file.seekp(-1, std::ios::end);
    file.put('x');
  }
  const auto refused = export_bundle(here, {"a:1"}, folder / "a.tacit", nullptr);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::corrupt);
  EXPECT_FALSE(std::filesystem::exists(folder / "a.tacit"));
}

TEST(BundleIndex, IsStrict) {
  const std::string digest = "sha256:" + std::string(64, 'a');
  InstalledModel model{.name = "a:1",
                       .title = "A",
                       .license = "MIT",
                       .size_bytes = 1,
                       .weights = store::Digest::parse(digest).value()};
  BundleIndex index;
  index.models = {model};
  EXPECT_FALSE(parse_bundle_index(bundle_index_json(index))) << "its file is missing";
  index.blobs = {{model.weights, 1}};
  const auto json = bundle_index_json(index);
  EXPECT_TRUE(parse_bundle_index(json));
  index.models = {model, model};
  EXPECT_FALSE(parse_bundle_index(bundle_index_json(index))) << "twice the same name";
  index.models = {};
  EXPECT_FALSE(parse_bundle_index(bundle_index_json(index)));
  for (std::size_t size = 0; size + 1 < json.size(); ++size) {
    EXPECT_FALSE(parse_bundle_index(std::string_view{json}.substr(0, size)));
  }
}

}  // namespace
}  // namespace tacit::registry
