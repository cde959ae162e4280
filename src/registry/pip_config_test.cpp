#include "registry/pip_config.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>

#include "store/file.hpp"
#include "store/testing/temp_folder.hpp"

namespace tacit::registry {
namespace {

using store::testing::TempFolder;

class PipConfig : public ::testing::Test {
 protected:
  PipConfig() { environment["HOME"] = folder.path().string(); }

  Getenv getenv() {
    return [this](const char* name) -> std::optional<std::string> {
      const auto found = environment.find(name);
      return found == environment.end() ? std::nullopt : std::optional{found->second};
    };
  }
  void put(const std::filesystem::path& path, std::string_view text) {
    ASSERT_TRUE(store::make_folders(path.parent_path()));
    ASSERT_TRUE(store::write_file_atomically(path, as_bytes(text)));
  }
  std::string index_url() { return pip_settings(getenv()).index_url; }

  TempFolder folder;
  std::map<std::string, std::string, std::less<>> environment;
};

TEST_F(PipConfig, HigherRanksOverrideLowerOnes) {
  environment["XDG_CONFIG_DIRS"] = (folder / "xdg").string() + ":" + (folder / "xdg2").string();
  put(folder / "xdg2/pip/pip.conf", "[global]\nindex-url = https://xdg2\n");
  EXPECT_EQ(index_url(), "https://xdg2");
  put(folder / "xdg/pip/pip.conf", "[global]\nindex-url = https://xdg\n");
  EXPECT_EQ(index_url(), "https://xdg");
  put(folder / ".pip/pip.conf", "[global]\nindex-url = https://legacy\n");
  EXPECT_EQ(index_url(), "https://legacy");
  put(folder / ".config/pip/pip.conf", "[global]\nindex-url = https://user\n");
  EXPECT_EQ(index_url(), "https://user");
  environment["XDG_CONFIG_HOME"] = (folder / "config").string();
  put(folder / "config/pip/pip.conf", "[global]\nindex-url = https://xdg-home\n");
  EXPECT_EQ(index_url(), "https://xdg-home");
  environment["VIRTUAL_ENV"] = (folder / "venv").string();
  put(folder / "venv/pip.conf", "[global]\nindex-url = https://venv\n");
  EXPECT_EQ(index_url(), "https://venv");
  environment["PIP_CONFIG_FILE"] = (folder / "named.conf").string();
  put(folder / "named.conf", "[global]\nindex-url = https://named\n");
  EXPECT_EQ(index_url(), "https://named");
  put(folder / ".pip/pip.conf", "[install]\nindex-url = https://install\n");
  EXPECT_EQ(index_url(), "https://install");
  environment["PIP_INDEX_URL"] = "https://environment";
  EXPECT_EQ(index_url(), "https://environment");
}

TEST_F(PipConfig, TheNullDeviceTurnsFilesOff) {
  put(folder / ".config/pip/pip.conf", "[global]\nindex-url = https://user\n");
  environment["PIP_CONFIG_FILE"] = "/dev/null";
  EXPECT_EQ(index_url(), "");
}

TEST_F(PipConfig, ReadsIniAsPipDoes) {
  const auto read = [](std::string_view text) { return parse_pip_config(text).global; };
  EXPECT_EQ(read("[global]\r\nindex-url=https://h/s\r\n").index_url, "https://h/s");
  EXPECT_EQ(read("[global]\nINDEX_URL : https://h/s\n").index_url, "https://h/s");
  EXPECT_EQ(read("[global]\n--index-url = https://h/s\n").index_url, "https://h/s");
  EXPECT_EQ(read("[global]\nindex-url =\n    https://h/s\n").index_url, "https://h/s");
  EXPECT_EQ(read("# x\n; y\n[global]\n  # z\ncert = /ca.pem\nproxy=http://p:1").proxy,
            "http://p:1");
  EXPECT_EQ(read("[global]\nextra-index-url =\n  https://a\n  index-url = https://b\n").index_url,
            "");
  EXPECT_EQ(read("index-url = https://nowhere\n[list]\nindex-url = https://list\n").index_url, "");
  EXPECT_EQ(read("[global\nindex-url = x\n[]\n[\n]\n=\n:\n\n").index_url, "x");
  EXPECT_EQ(parse_pip_config("[install]\ncert=/i.pem").install.ca_file, "/i.pem");
}

TEST_F(PipConfig, UnreadableFilesSayNothing) {
  ASSERT_TRUE(store::make_folders(folder / ".config/pip/pip.conf"));  // a folder
  environment["PIP_CONFIG_FILE"] = (folder / "missing").string();
  EXPECT_EQ(index_url(), "");
}

TEST_F(PipConfig, MakesRegistryOptions) {
  environment["PIP_CONFIG_FILE"] = "/dev/null";
  environment["PIP_INDEX_URL"] = "https://h/s";
  environment["PIP_CERT"] = "/ca.pem";
  environment["HTTPS_PROXY"] = "http://upper:1";
  environment["https_proxy"] = "http://lower:1";
  environment["HTTP_PROXY"] = "http://cgi:1";
  environment["NO_PROXY"] = "localhost";
  auto options = registry_options("/models", getenv()).value();
  EXPECT_EQ(options.models_root, "/models");
  EXPECT_EQ(options.pypi_index_url, "https://h/s");
  EXPECT_EQ(options.ca_file, "/ca.pem");
  EXPECT_EQ(options.http.https_proxy, "http://lower:1");
  EXPECT_EQ(options.http.http_proxy, "");
  EXPECT_EQ(options.http.no_proxy, "localhost");
  environment["PIP_PROXY"] = "http://pip:1";
  options = registry_options("/models", getenv()).value();
  EXPECT_EQ(options.http.https_proxy, "http://pip:1");
  EXPECT_EQ(options.http.http_proxy, "http://pip:1");
}

}  // namespace
}  // namespace tacit::registry
