#include "registry/lock_file.hpp"

#include <gtest/gtest.h>

#include <string>

#include "store/file.hpp"
#include "store/testing/temp_folder.hpp"

namespace tacit::registry {
namespace {

LockEntry entry(const std::string& reference, char digit = 'a') {
  return {reference, "hf:acme/tiny@main/a.gguf", "acme/tiny:a",
          store::Digest::parse(std::string(64, digit)).value(), 12};
}

TEST(LockFile, RoundTripsInOrder) {
  const store::testing::TempFolder folder;
  LockFile file = LockFile::read(folder / "tacit.lock").value();
  EXPECT_TRUE(file.entries().empty());
  file.put(entry("ollama:library/b:1"));
  file.put(entry("hf:acme/tiny@main"));
  file.put(entry("ollama:library/b:1", 'b'));
  ASSERT_TRUE(file.write(folder / "tacit.lock"));
  const auto again = LockFile::read(folder / "tacit.lock").value();
  ASSERT_EQ(again.entries().size(), 2u);
  EXPECT_EQ(again.entries()[0].reference, "hf:acme/tiny@main");
  EXPECT_EQ(again.find("ollama:library/b:1")->weights.hex(), std::string(64, 'b'));
  EXPECT_EQ(again.find("x"), nullptr);
  EXPECT_EQ(again.text(), file.text());
}

TEST(LockFile, IsStrict) {
  LockFile file;
  file.put(entry("hf:acme/tiny@main"));
  const auto good = file.text();
  ASSERT_TRUE(LockFile::parse(good));
  for (std::size_t size = 0; size + 1 < good.size(); ++size) {
    EXPECT_FALSE(LockFile::parse(std::string_view{good}.substr(0, size)));
  }
  auto odd = good;
  odd.replace(odd.find("hf:acme"), 2, "xx");
  EXPECT_FALSE(LockFile::parse(odd));
  const store::testing::TempFolder folder;
  ASSERT_TRUE(store::write_file_atomically(folder / "tacit.lock", as_bytes("{")));
  const auto refused = LockFile::read(folder / "tacit.lock");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().subject().find("tacit.lock"), std::string::npos);
}

}  // namespace
}  // namespace tacit::registry
