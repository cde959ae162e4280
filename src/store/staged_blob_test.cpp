#include "store/staged_blob.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <string>

#include "crypto/hash.hpp"
#include "store/testing/child.hpp"
#include "store/testing/temp_folder.hpp"

namespace tacit::store {
namespace {

using testing::TempFolder;

class Staging : public ::testing::Test {
 protected:
  std::filesystem::path write(const std::string& name, const std::string& text) {
    std::ofstream{folder / name} << text;
    ::chmod((folder / name).c_str(), 0644);
    return folder / name;
  }
  std::size_t staged_files() const {
    std::size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator{store->staging_folder()}) {
      EXPECT_TRUE(is_staged_name(entry.path().filename().string()));
      ++count;
    }
    return count;
  }
  TempFolder folder;
  std::unique_ptr<BlobStore> store = BlobStore::open(folder / "models").value();
};

TEST_F(Staging, PublishesAnOwnFileWithoutCopyingIt) {
  const auto source = write("a.bin", "the bytes");
  auto staged = StagedBlob::from_file(*store, source, {});
  ASSERT_TRUE(staged) << staged.error().message();
  EXPECT_EQ(staged->digest().hex(), crypto::sha256_hex(as_bytes("the bytes")));
  EXPECT_NE(staged->placement(), Placement::copy);
  ASSERT_TRUE(staged->publish(*store));
  EXPECT_TRUE(store->contains(staged->digest()));
  EXPECT_EQ(staged_files(), 0u);
  std::filesystem::remove(source);  // the blob stays
  EXPECT_EQ(as_text(read_file(store->path(staged->digest()), 100).value()), "the bytes");
}

TEST_F(Staging, CopiesWhatOthersMayWrite) {
  const auto source = write("a.bin", "the bytes");
  ::chmod(source.c_str(), 0666);
  auto staged = StagedBlob::from_file(*store, source, {});
  ASSERT_TRUE(staged);
  EXPECT_NE(staged->placement(), Placement::hard_link);
  ASSERT_TRUE(staged->publish(*store));
  std::ofstream{source} << "other";
  EXPECT_EQ(as_text(read_file(store->path(staged->digest()), 100).value()), "the bytes");
}

TEST_F(Staging, CopiesWhenAskedAndSaysHowFarItIs) {
  const auto source = write("a.bin", std::string(3'000'000, 'x'));
  std::uint64_t last = 0;
  auto staged = StagedBlob::from_file(
      *store, source, {.may_link = false, .on_hashed = [&](std::uint64_t n) { last = n; }});
  ASSERT_TRUE(staged);
  EXPECT_EQ(staged->placement(), Placement::copy);
  EXPECT_EQ(last, 3'000'000u);
}

TEST_F(Staging, LeavesNothingWithoutPublish) {
  const auto source = write("a.bin", "x");
  {
    auto staged = StagedBlob::from_file(*store, source, {});
    ASSERT_TRUE(staged);
    EXPECT_EQ(staged_files(), 1u);
    // The sweep does not take what somebody is at, however old the original.
    EXPECT_EQ(store->remove_abandoned(WallTime::max()), 0u);
  }
  EXPECT_EQ(staged_files(), 0u);
  EXPECT_TRUE(std::filesystem::exists(source));
}

TEST_F(Staging, TheSweepTakesWhatTheDeadLeave) {
  const auto source = write("a.bin", "x");
  EXPECT_NE(testing::in_child([&] {
              auto staged = StagedBlob::from_file(*store, source, {});
              ::kill(::getpid(), SIGKILL);
              return 0;
            }),
            0);
  EXPECT_EQ(staged_files(), 1u);
  EXPECT_EQ(store->remove_abandoned(WallTime::max()), 1u);
  EXPECT_EQ(staged_files(), 0u);
  EXPECT_TRUE(std::filesystem::exists(source));
}

TEST_F(Staging, NoticesAChangeBeforePublishing) {
  const auto source = write("a.bin", "the bytes");
  auto staged = StagedBlob::from_file(*store, source, {});
  ASSERT_TRUE(staged);
  if (staged->placement() != Placement::hard_link) GTEST_SKIP() << "its own file here";
  std::ofstream{source} << "other bytes";
  const auto published = staged->publish(*store);
  ASSERT_FALSE(published);
  EXPECT_EQ(published.error().code(), Code::corrupt);
  EXPECT_FALSE(store->contains(staged->digest()));
}

TEST_F(Staging, TwiceIsOnce) {
  const auto source = write("a.bin", "the bytes");
  auto first = StagedBlob::from_file(*store, source, {});
  auto second = StagedBlob::from_file(*store, source, {});
  ASSERT_TRUE(first && second);
  ASSERT_TRUE(first->publish(*store));
  ASSERT_TRUE(second->publish(*store));
  EXPECT_EQ(second->placement(), Placement::already_there);
  EXPECT_EQ(staged_files(), 0u);
  EXPECT_TRUE(store->contains(first->digest()));
}

TEST_F(Staging, RefusesWhatIsNoFile) {
  EXPECT_EQ(StagedBlob::from_file(*store, folder / "none", {}).error().code(), Code::not_found);
  EXPECT_EQ(StagedBlob::from_file(*store, folder.path(), {}).error().code(), Code::unsupported);
  EXPECT_EQ(staged_files(), 0u);
}

TEST_F(Staging, QuarantineTakesABlobOutOfSight) {
  auto staged = StagedBlob::from_file(*store, write("a.bin", "x"), {});
  ASSERT_TRUE(staged && staged->publish(*store));
  const auto where = store->quarantine(staged->digest());
  ASSERT_TRUE(where);
  EXPECT_TRUE(std::filesystem::exists(*where));
  EXPECT_FALSE(store->contains(staged->digest()));
  EXPECT_TRUE(store->list()->empty());
}

}  // namespace
}  // namespace tacit::store
