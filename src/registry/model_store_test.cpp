#include "registry/model_store.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "crypto/hash.hpp"
#include "formats/testing/gguf_builder.hpp"
#include "store/file.hpp"
#include "store/testing/temp_folder.hpp"

namespace tacit::registry {
namespace {

using formats::testing::GgufBuilder;
using store::testing::TempFolder;

class Models : public ::testing::Test {
 protected:
  static Bytes gguf(const std::string& title) {
    return GgufBuilder{}
        .add_text("general.architecture", "llama")
        .add_text("general.name", title)
        .tensor("token_embd.weight", {1024, 8}, 0)
        .build();
  }
  std::filesystem::path write(const std::string& name, BytesView bytes) {
    std::ofstream{folder / name, std::ios::binary} << as_text(bytes);
    ::chmod((folder / name).c_str(), 0644);
    return folder / name;
  }
  ModelStore open() {
    RegistryOptions options;
    options.models_root = folder / "models";
    return ModelStore::open(options, log).value();
  }
  static ModelStore::ImportOptions named(const std::string& name) {
    ModelStore::ImportOptions options;
    options.name = name;
    options.source = "file:test";
    return options;
  }
  // Changes bytes behind the store's back.
  void damage(const store::BlobStore& blobs, const store::Digest& digest) {
    const auto path = blobs.path(digest);
    const auto bytes = store::read_file(path, 1 << 20).value();
    std::filesystem::remove(path);
    std::ofstream{path, std::ios::binary} << as_text(bytes) << "x";
  }

  TempFolder folder;
  NullLogger log;
};

TEST_F(Models, ImportsAFile) {
  auto models = open();
  const auto bytes = gguf("A model");
  std::uint64_t seen = 0;
  const auto imported = models.import_file(write("a.gguf", bytes), named("a:1"),
                                           [&](std::uint64_t done, std::uint64_t) { seen = done; });
  ASSERT_TRUE(imported) << imported.error().message();
  EXPECT_EQ(seen, bytes.size());
  EXPECT_EQ(imported->model.title, "A model");
  EXPECT_EQ(imported->model.license, "unknown");
  EXPECT_EQ(imported->model.weights.hex(), crypto::sha256_hex(bytes));
  const auto found = models.find("a:1");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->source, "file:test");
  EXPECT_EQ(found->pinned_by, "user");
  EXPECT_TRUE(models.blobs().contains(found->weights));
}

TEST_F(Models, ImportRefusesWhatCannotBeLoaded) {
  auto models = open();
  const auto refused = [&](const std::string& name, BytesView bytes) {
    const auto done = models.import_file(write(name, bytes), named("a:1"), nullptr);
    EXPECT_FALSE(done);
    return done ? Code::internal : done.error().code();
  };
  EXPECT_EQ(refused("no.gguf", as_bytes("not a model at all")), Code::malformed);
  EXPECT_EQ(refused("part.gguf", GgufBuilder{}
                                     .add_text("general.architecture", "llama")
                                     .add_u32("split.count", 2)
                                     .tensor("token_embd.weight", {1024, 8}, 0)
                                     .build()),
            Code::unsupported);
  EXPECT_TRUE(models.blobs().list()->empty());
  EXPECT_FALSE(models.find("a:1"));
}

TEST_F(Models, ImportChecksNameAndDigest) {
  auto models = open();
  const auto file = write("a.gguf", gguf("A"));
  EXPECT_EQ(models.import_file(file, named("No Name"), nullptr).error().code(),
            Code::invalid_argument);
  auto pinned = named("a:1");
  pinned.sha256 = std::string(64, '0');
  EXPECT_EQ(models.import_file(file, pinned, nullptr).error().code(), Code::corrupt);
  pinned.sha256 = crypto::sha256_hex(gguf("A"));
  EXPECT_TRUE(models.import_file(file, pinned, nullptr));
  const auto other = write("b.gguf", gguf("B"));
  EXPECT_EQ(models.import_file(other, named("a:1"), nullptr).error().code(), Code::already_exists);
  auto replacing = named("a:1");
  replacing.replace = true;
  EXPECT_TRUE(models.import_file(other, replacing, nullptr));
}

TEST_F(Models, RemoveCountsReferences) {
  auto models = open();
  const auto file = write("a.gguf", gguf("A"));
  ASSERT_TRUE(models.import_file(file, named("a:1"), nullptr));
  ASSERT_TRUE(models.import_file(file, named("a:2"), nullptr));
  const auto digest = models.find("a:1")->weights;
  const auto first = models.remove("a:1");
  ASSERT_TRUE(first);
  EXPECT_EQ(first->bytes_freed, 0u);
  EXPECT_EQ(first->blobs_kept, 1u);
  EXPECT_TRUE(models.blobs().contains(digest));
  const auto second = models.remove("a:2");
  ASSERT_TRUE(second);
  EXPECT_EQ(second->bytes_freed, gguf("A").size());
  EXPECT_FALSE(models.blobs().contains(digest));
  EXPECT_EQ(models.remove("a:2").error().code(), Code::not_found);
  EXPECT_TRUE(std::filesystem::exists(file)) << "the user's own file stays";
}

TEST_F(Models, NothingIsDeletedWhileAManifestCannotBeRead) {
  auto models = open();
  ASSERT_TRUE(models.import_file(write("a.gguf", gguf("A")), named("a:1"), nullptr));
  const auto odd = folder / "models" / "manifests" / "future.json";
  ASSERT_TRUE(store::write_file_atomically(odd, as_bytes(R"({"schema":99})")));
  EXPECT_EQ(models.remove("a:1").error().code(), Code::malformed);
  EXPECT_EQ(models.collect_garbage(WallTime::max(), false).error().code(), Code::malformed);
  EXPECT_TRUE(models.find("a:1"));
}

TEST_F(Models, GarbageIsWhatNobodyNames) {
  auto models = open();
  ASSERT_TRUE(models.import_file(write("a.gguf", gguf("A")), named("a:1"), nullptr));
  ASSERT_TRUE(models.import_file(write("b.gguf", gguf("B")), named("b:1"), nullptr));
  ASSERT_TRUE(models.manifests().remove("b:1"));  // as an interrupted `rm` would leave it
  EXPECT_EQ(models.collect_garbage(WallTime::max(), true)->blobs, 1u);
  EXPECT_EQ(models.blobs().list()->size(), 2u);
  EXPECT_EQ(models.collect_garbage(WallTime{}, false)->blobs, 0u) << "too young";
  const auto collected = models.collect_garbage(WallTime::max(), false);
  ASSERT_TRUE(collected);
  EXPECT_EQ(collected->blobs, 1u);
  EXPECT_EQ(collected->bytes_freed, gguf("B").size());
  EXPECT_EQ(models.blobs().list()->size(), 1u);
  EXPECT_TRUE(models.check({}, nullptr)->good());
}

TEST_F(Models, CheckQuarantinesWhatDiffers) {
  auto models = open();
  ASSERT_TRUE(models.import_file(write("a.gguf", gguf("A")), named("a:1"), nullptr));
  ASSERT_TRUE(models.import_file(write("b.gguf", gguf("B")), named("b:1"), nullptr));
  std::uint64_t done = 0;
  auto check = models.check({}, [&](std::uint64_t now, std::uint64_t) { done = now; });
  ASSERT_TRUE(check);
  EXPECT_TRUE(check->good());
  EXPECT_EQ(check->blobs.size(), 2u);
  EXPECT_EQ(done, gguf("A").size() + gguf("B").size());
  const auto digest = models.find("a:1")->weights;
  damage(models.blobs(), digest);
  EXPECT_TRUE(models.check({"b:1"}, nullptr)->good()) << "not asked about the other";
  check = models.check({}, nullptr);
  ASSERT_TRUE(check);
  EXPECT_FALSE(check->good());
  const auto bad = std::ranges::find(check->blobs, digest, &CheckedBlob::digest);
  ASSERT_NE(bad, check->blobs.end());
  EXPECT_EQ(bad->models, std::vector<std::string>{"a:1"});
  EXPECT_TRUE(std::filesystem::exists(bad->quarantined));
  EXPECT_FALSE(models.blobs().contains(digest));
  check = models.check({}, nullptr);
  EXPECT_EQ(check->incomplete, std::vector<std::string>{"a:1"});
  EXPECT_EQ(models.check({"none"}, nullptr).error().code(), Code::not_found);
}

TEST_F(Models, MoreFilesBelongToAModel) {
  auto models = open();
  auto options = named("a:1");
  options.files = {write("LICENSE", as_bytes("MIT"))};
  options.roles = {"license"};
  ASSERT_TRUE(models.import_file(write("a.gguf", gguf("A")), options, nullptr));
  EXPECT_EQ(models.blobs().list()->size(), 2u);
  EXPECT_EQ(models.find("a:1")->files.at(0).role, "license");
  EXPECT_EQ(models.collect_garbage(WallTime::max(), false)->blobs, 0u);
  ASSERT_TRUE(models.remove("a:1"));
  EXPECT_TRUE(models.blobs().list()->empty());
}

}  // namespace
}  // namespace tacit::registry
