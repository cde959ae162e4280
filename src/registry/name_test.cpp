#include "registry/name.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

namespace tacit::registry {
namespace {

TEST(ModelName, AcceptsFamiliesTagsAndOwners) {
  for (const auto* name :
       {"smollm2", "smollm2:135m", "qwen2.5-coder:7b-q4_k_m", "acme/model:v1.0"}) {
    EXPECT_TRUE(is_model_name(name)) << name;
  }
}

TEST(ModelName, RefusesEverythingElse) {
  for (const std::string& name :
       {std::string{}, std::string{":"}, std::string{"a:"}, std::string{":b"}, std::string{"A"},
        std::string{"a b"}, std::string{"../a"}, std::string{"a/../b"}, std::string{"a/b/c"},
        std::string{"/a"}, std::string{"a/"}, std::string{".a"}, std::string{"a:.b"},
        std::string{"-a"}, std::string{"a:b:c"}, std::string{"a%2f"}, std::string{"a\0b", 3},
        std::string{"caf\xc3\xa9"}, std::string(129, 'a')}) {
    EXPECT_FALSE(is_model_name(name)) << name;
  }
  EXPECT_TRUE(is_model_name(std::string(128, 'a')));
}

TEST(FileName, StaysInItsFolderAndIsUnique) {
  EXPECT_EQ(file_name_of("smollm2:135m"), "smollm2%3A135m");
  EXPECT_EQ(file_name_of("acme/model:v1"), "acme%2Fmodel%3Av1");
  EXPECT_FALSE(std::filesystem::path{file_name_of("acme/model:v1")}.has_parent_path());
}

TEST(Printable, NeutralisesForeignText) {
  EXPECT_EQ(printable("a\x1b[31m\n\xff").str(), "a?[31m??");
  EXPECT_EQ(printable(std::string(100, 'x')).str(), std::string(80, 'x') + "...");
}

TEST(NearNames, FindsTypingMistakesAndBeginnings) {
  const std::vector<std::string> known{"smollm2:135m", "smollm2", "smollm2:latest", "qwen3:4b"};
  EXPECT_EQ(near_names("smolm2", known), std::vector<std::string>{"smollm2"});
  EXPECT_EQ(near_names("smollm2:135n", known).at(0), "smollm2:135m");
  EXPECT_EQ(near_names("smol", known).size(), 3u);
  EXPECT_TRUE(near_names("llama", known).empty());
  EXPECT_TRUE(near_names("", known).empty());
  EXPECT_TRUE(near_names(std::string(100'000, 'a'), known).empty());
}

}  // namespace
}  // namespace tacit::registry
