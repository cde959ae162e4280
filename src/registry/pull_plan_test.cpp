#include "registry/pull_plan.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>

#include "core/text.hpp"
#include "store/testing/temp_folder.hpp"

namespace tacit::registry {
namespace {

const std::string kHex(64, 'a');

std::string file(const std::string& path) {
  return R"({"type":"file","path":")" + path + R"(","size":130,"oid":"x","lfs":{"oid":")" + kHex +
         R"(","size":1000,"pointerSize":130}})";
}

TEST(HubTree, ReadsFilesWithTheirDigests) {
  const auto files =
      parse_hub_tree("[" + file("a/b.gguf") + R"(,{"type":"directory","path":"a"},)" +
                     R"({"type":"file","path":"README.md","size":5}])");
  ASSERT_TRUE(files) << files.error().message();
  ASSERT_EQ(files->size(), 2u);
  EXPECT_EQ((*files)[0].size_bytes, 1000u);
  EXPECT_EQ((*files)[0].sha256->hex(), kHex);
  EXPECT_FALSE((*files)[1].sha256);
  EXPECT_FALSE(parse_hub_tree("{}"));
  EXPECT_FALSE(parse_hub_tree(R"([{"type":"file","path":"a","size":-1}])"));
  EXPECT_FALSE(
      parse_hub_tree(R"([{"type":"file","path":"a","size":1,"lfs":{"oid":"../x","size":1}}])"));
}

TEST(HubTree, ChoosesOneFile) {
  const auto files =
      parse_hub_tree("[" + file("t-Q4_K_M.gguf") + "," + file("t-Q8_0.gguf") + "," +
                     file("mmproj-t.gguf") + "," + file("b-00001-of-00002.gguf") + "]")
          .value();
  EXPECT_EQ(choose_hub_file(files, "")->path, "t-Q4_K_M.gguf");
  EXPECT_EQ(choose_hub_file(files, "q8_0")->path, "t-Q8_0.gguf");
  EXPECT_EQ(choose_hub_file(files, "mmproj-t.gguf")->path, "mmproj-t.gguf");
  EXPECT_EQ(choose_hub_file(files, "t-*").error().code(), Code::invalid_argument);
  EXPECT_EQ(choose_hub_file(files, "b-*").error().code(), Code::unsupported);
  const auto missing = choose_hub_file(files, "q2").error();
  EXPECT_EQ(missing.code(), Code::not_found);
  EXPECT_NE(missing.subject().find("t-Q8_0.gguf"), std::string::npos);
}

TEST(BearerChallenge, IsReadAsServersWriteIt) {
  const auto parts = bearer_challenge(
      R"(Bearer realm="https://auth.example/token",service="reg, istry", scope=repository:a:pull)");
  EXPECT_EQ(parts.at("realm"), "https://auth.example/token");
  EXPECT_EQ(parts.at("service"), "reg, istry");
  EXPECT_EQ(parts.at("scope"), "repository:a:pull");
  for (const char* odd : {"", "Basic realm=\"x\"", "Bearer", "Bearer realm=\"x", "Bearer realm"}) {
    EXPECT_TRUE(bearer_challenge(odd).empty()) << odd;
  }
}

TEST(SourceSettings, FindsTokensAndLogins) {
  const store::testing::TempFolder folder;
  std::map<std::string, std::string> variables{{"HOME", folder.path().string()}};
  const Getenv variable = [&](const char* name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional{found->second};
  };
  auto settings = source_settings(variable);
  EXPECT_EQ(settings.hf_endpoints, std::vector<std::string>{"https://huggingface.co"});
  EXPECT_TRUE(settings.hf_token.empty());
  EXPECT_TRUE(settings.oci_logins.empty());

  std::filesystem::create_directories(folder / ".cache/huggingface");
  std::ofstream{folder / ".cache/huggingface/token"} << "hf_x\n";
  std::filesystem::create_directories(folder / ".docker");
  std::ofstream{folder / ".docker/config.json"}
      << R"({"auths":{"ghcr.io":{"auth":"dTpw"},"odd":{"auth":"%"},"h":{}},"credsStore":"x"})";
  variables["HF_ENDPOINT"] = "https://a.example/, nonsense ,http://127.0.0.1:1";
  settings = source_settings(variable);
  EXPECT_EQ(settings.hf_endpoints,
            (std::vector<std::string>{"https://a.example", "http://127.0.0.1:1"}));
  EXPECT_EQ(settings.hf_token, "hf_x");
  EXPECT_EQ(settings.oci_logins, (std::map<std::string, std::string>{{"ghcr.io", "dTpw"}}));
  variables["HF_TOKEN"] = "hf_y";
  EXPECT_EQ(source_settings(variable).hf_token, "hf_y");
}

}  // namespace
}  // namespace tacit::registry
