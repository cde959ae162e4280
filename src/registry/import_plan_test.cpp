#include "registry/import_plan.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <map>
#include <string>

#include "crypto/hash.hpp"
#include "formats/testing/gguf_builder.hpp"
#include "registry/name.hpp"
#include "store/testing/temp_folder.hpp"

namespace tacit::registry {
namespace {

using formats::testing::GgufBuilder;
using store::testing::TempFolder;

TEST(NameForFile, SaysWhichFileOfWhichRepository) {
  EXPECT_EQ(name_for_file("", "Tiny-Q4_K_M.gguf"), "tiny-q4_k_m");
  EXPECT_EQ(name_for_file("Acme/Tiny-GGUF", "Tiny-Q4_K_M.gguf"), "acme/tiny-gguf:q4_k_m");
  EXPECT_EQ(name_for_file("Acme/Tiny", "sub/other.gguf"), "acme/tiny:other");
  EXPECT_EQ(name_for_file("Acme/Tiny", "Tiny.gguf"), "acme/tiny:tiny");
  EXPECT_EQ(name_for_file("", "my model (1).gguf"), "my-model-1");
  EXPECT_EQ(name_for_file("", "....gguf"), "");
  for (const char* odd : {"\xFF\xFE", "../..", "a/b/c", "-", "a..", ":::"}) {
    for (const auto& name : {name_for_file("", odd), name_for_file(odd, odd)}) {
      EXPECT_TRUE(name.empty() || is_model_name(name)) << name;
    }
  }
}

class Plans : public ::testing::Test {
 protected:
  Bytes gguf =
      GgufBuilder{}.add_text("general.architecture", "llama").tensor("t", {1024, 8}, 0).build();
  std::string hex = crypto::sha256_hex(gguf);

  std::filesystem::path write(const std::filesystem::path& name, std::string_view text) {
    const auto path = folder / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream{path, std::ios::binary} << text;
    ::chmod(path.c_str(), 0644);
    return path;
  }
  std::filesystem::path ollama() {
    write("ollama/blobs/sha256-" + hex, as_text(gguf));
    const std::string text = "MIT, more or less";
    const auto licence = crypto::sha256_hex(as_bytes(text));
    write("ollama/blobs/sha256-" + licence, text);
    write(
        "ollama/manifests/registry.ollama.ai/library/tiny/latest",
        R"({"layers":[{"mediaType":"application/vnd.ollama.image.model","digest":"sha256:)" + hex +
            R"(","size":1},{"mediaType":"application/vnd.ollama.image.license","digest":"sha256:)" +
            licence + R"(","size":17}]})");
    write("ollama/manifests/registry.ollama.ai/acme/odd/1", "{");
    return folder / "ollama";
  }
  TempFolder folder;
  NullLogger log;
};

TEST_F(Plans, OllamasCacheInPlace) {
  const auto plan = plan_import(ollama());
  ASSERT_TRUE(plan) << plan.error().message();
  ASSERT_EQ(plan->items.size(), 1u);
  EXPECT_EQ(plan->skipped.size(), 1u);
  const auto& item = plan->items[0];
  EXPECT_EQ(item.options.proposed_name, "tiny:latest");
  EXPECT_EQ(item.options.sha256, hex);
  EXPECT_EQ(item.options.roles, std::vector<std::string>{"license"});

  RegistryOptions options;
  options.models_root = folder / "models";
  auto models = ModelStore::open(options, log).value();
  const auto imported = models.import_file(item.file, item.options, nullptr);
  ASSERT_TRUE(imported) << imported.error().message();
  EXPECT_EQ(imported->model.name, "tiny:latest");
  EXPECT_NE(imported->placement, store::Placement::copy);
  EXPECT_TRUE(models.check({}, nullptr)->good());
}

TEST_F(Plans, HuggingFacesCacheInPlace) {
  const auto blob = write("hub/models--Acme--Tiny-GGUF/blobs/" + hex, as_text(gguf));
  const auto snapshot = folder / "hub/models--Acme--Tiny-GGUF/snapshots/0123abc";
  std::filesystem::create_directories(snapshot);
  std::filesystem::create_symlink("../../blobs/" + hex, snapshot / "Tiny-Q8_0.gguf");
  std::filesystem::create_symlink("../../blobs/" + hex, snapshot / "Big-00001-of-00002.gguf");
  const auto plan = plan_import(folder / "hub");
  ASSERT_TRUE(plan) << plan.error().message();
  ASSERT_EQ(plan->items.size(), 1u);
  EXPECT_EQ(plan->skipped.size(), 1u) << "a part of a split model";
  EXPECT_EQ(plan->items[0].options.proposed_name, "acme/tiny-gguf:q8_0");
  EXPECT_EQ(plan->items[0].options.source, "hf:Acme/Tiny-GGUF@0123abc/Tiny-Q8_0.gguf");
  EXPECT_EQ(plan->items[0].options.sha256, hex);
}

TEST_F(Plans, FoldersAndFiles) {
  const auto file = write("some/deep/Tiny.gguf", as_text(gguf));
  write("some/notes.txt", "x");
  const auto plan = plan_import(folder / "some");
  ASSERT_TRUE(plan);
  ASSERT_EQ(plan->items.size(), 1u);
  EXPECT_EQ(plan->items[0].options.proposed_name, "tiny");
  EXPECT_EQ(plan_import(file)->items.size(), 1u);
  std::filesystem::create_directories(folder / "empty");
  EXPECT_EQ(plan_import(folder / "empty").error().code(), Code::not_found);
}

TEST_F(Plans, FindsTheCaches) {
  const auto root = ollama();
  std::map<std::string, std::string> variables{{"HOME", folder.path().string()}};
  const Getenv variable = [&](const char* name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional{found->second};
  };
  EXPECT_FALSE(locate_import("huggingface", variable));
  variables["OLLAMA_MODELS"] = root.string();
  EXPECT_EQ(locate_import("ollama", variable).value(), root);
  write(".cache/huggingface/hub/x", "");
  EXPECT_EQ(locate_import("hf", variable).value(), folder / ".cache/huggingface/hub");
  EXPECT_EQ(locate_import(root.string(), variable).value(), root);
  EXPECT_EQ(locate_import("/no/such/file", variable).error().code(), Code::not_found);
}

}  // namespace
}  // namespace tacit::registry
