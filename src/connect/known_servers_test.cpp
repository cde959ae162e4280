#include "connect/known_servers.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include "store/file.hpp"

namespace tacit::connect {
namespace {

class KnownServersTest : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove(file); }
  const std::filesystem::path file =
      std::filesystem::temp_directory_path() / ("tacit-known-" + std::to_string(::getpid()));
  KnownServers known{file};
};

TEST_F(KnownServersTest, RemembersReplacesAndForgets) {
  EXPECT_EQ(known.find("https://a").value(), std::nullopt);
  ASSERT_TRUE(known.pin("https://a", "tacit1:aa"));
  ASSERT_TRUE(known.pin("https://b", "tacit1:bb"));
  EXPECT_EQ(known.find("https://a").value(), "tacit1:aa");
  ASSERT_TRUE(known.pin("https://a", "tacit1:cc"));
  EXPECT_EQ(KnownServers{file}.find("https://a").value(), "tacit1:cc");
  ASSERT_TRUE(known.forget("https://a"));
  EXPECT_EQ(known.find("https://a").value(), std::nullopt);
  EXPECT_EQ(known.find("https://b").value(), "tacit1:bb");
  EXPECT_EQ(known.forget("https://a").error().code(), Code::not_found);
}

TEST_F(KnownServersTest, ABrokenFileIsNotTakenForAnEmptyOne) {
  ASSERT_TRUE(store::write_file_atomically(file, as_bytes("https://a\n"), 0600));
  EXPECT_EQ(known.find("https://a").error().code(), Code::malformed);
  EXPECT_EQ(known.pin("https://b", "tacit1:bb").error().code(), Code::malformed);
}

}  // namespace
}  // namespace tacit::connect
