#include "store/file.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <filesystem>
#include <string>

#include "store/testing/child.hpp"
#include "store/testing/temp_folder.hpp"

namespace tacit::store {
namespace {

using testing::in_child;
using testing::TempFolder;

unsigned mode_of(const std::filesystem::path& path) {
  struct stat info{};
  EXPECT_EQ(::stat(path.c_str(), &info), 0);
  return info.st_mode & 0777;
}

TEST(WriteFileAtomically, WritesAndReplacesWithTheGivenMode) {
  const TempFolder folder;
  const auto umask_before = ::umask(0077);
  ASSERT_TRUE(write_file_atomically(folder / "a", as_bytes("one"), 0644));
  EXPECT_EQ(mode_of(folder / "a"), 0644u);
  ASSERT_TRUE(write_file_atomically(folder / "a", as_bytes("second"), 0600));
  EXPECT_EQ(mode_of(folder / "a"), 0600u);
  ::umask(umask_before);
  EXPECT_EQ(as_text(read_file(folder / "a", 100).value()), "second");
}

TEST(WriteFileAtomically, LeavesNoTemporaryFile) {
  const TempFolder folder;
  ASSERT_TRUE(write_file_atomically(folder / "a", as_bytes("one")));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator{folder.path()}, {}), 1);
}

TEST(WriteFileAtomically, KeepsTheOldFileWhenTheNewOneDoesNotFit) {
  const TempFolder folder;
  ASSERT_TRUE(write_file_atomically(folder / "a", as_bytes("old")));
  const int code = in_child([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{4096, 4096};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const auto written = write_file_atomically(folder / "a", Bytes(100'000));
    return !written && written.error().code() == Code::no_space ? 0 : 1;
  });
  EXPECT_EQ(code, 0);
  EXPECT_EQ(as_text(read_file(folder / "a", 100).value()), "old");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator{folder.path()}, {}), 1);
}

TEST(WriteFileAtomically, NamesTheFileThatCannotBeWritten) {
  const TempFolder folder;
  const auto missing = write_file_atomically(folder / "no" / "such", as_bytes("x"));
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code(), Code::not_found);
  EXPECT_EQ(missing.error().subject(), (folder / "no" / "such").string());
}

TEST(WriteFileAtomically, SaysThatPermissionIsMissing) {
  const TempFolder folder;
  ::chmod(folder.path().c_str(), 0755);
  const int code = in_child([&] {
    if (::geteuid() == 0 && ::setuid(65534) != 0) return 0;  // not even root here: nothing to show
    ::chmod(folder.path().c_str(), 0555);
    const auto written = write_file_atomically(folder / "a", as_bytes("x"));
    return !written && written.error().code() == Code::permission ? 0 : 1;
  });
  EXPECT_EQ(code, 0);
  ::chmod(folder.path().c_str(), 0755);
}

// A reader that looks again and again while the file is replaced sees whole files only.
TEST(WriteFileAtomically, IsNeverSeenHalfDone) {
  const TempFolder folder;
  const Bytes ones(300'000, std::byte{1});
  const Bytes twos(200'000, std::byte{2});
  ASSERT_TRUE(write_file_atomically(folder / "a", ones));
  testing::Child writer{[&] {
    for (int i = 0;; ++i) {
      if (!write_file_atomically(folder / "a", i % 2 == 0 ? twos : ones)) return 1;
    }
    return 0;
  }};
  for (int i = 0; i < 200; ++i) {
    const auto seen = read_file(folder / "a", 1'000'000);
    ASSERT_TRUE(seen);
    ASSERT_TRUE(*seen == ones || *seen == twos) << i;
  }
}

TEST(ReadFile, HasALimit) {
  const TempFolder folder;
  ASSERT_TRUE(write_file_atomically(folder / "a", as_bytes("12345")));
  EXPECT_TRUE(read_file(folder / "a", 5));
  const auto over = read_file(folder / "a", 4);
  ASSERT_FALSE(over);
  EXPECT_EQ(over.error().code(), Code::too_large);
  EXPECT_EQ(over.error().value("limit"), 4);
}

TEST(ReadFile, ReadsFilesThatDoNotKnowTheirSize) {
  EXPECT_FALSE(read_file("/proc/self/status", 1'000'000).value().empty());
  EXPECT_TRUE(read_file("/dev/null", 10).value().empty());
  EXPECT_EQ(read_file("/dev/zero", 10).error().code(), Code::too_large);
}

TEST(ReadFile, TellsMissingFromUnreadable) {
  const TempFolder folder;
  EXPECT_EQ(read_file(folder / "none", 10).error().code(), Code::not_found);
  EXPECT_EQ(read_file(folder.path(), 10'000'000).error().code(), Code::io);  // a folder
}

TEST(MakeFolders, MakesParentsAndAcceptsWhatIsThere) {
  const TempFolder folder;
  EXPECT_TRUE(make_folders(folder / "a" / "b" / "c"));
  EXPECT_TRUE(make_folders(folder / "a" / "b" / "c"));
  EXPECT_TRUE(std::filesystem::is_directory(folder / "a" / "b" / "c"));
}

TEST(MakeFolders, SaysWhenAFileIsInTheWay) {
  const TempFolder folder;
  ASSERT_TRUE(write_file_atomically(folder / "a", as_bytes("x")));
  EXPECT_EQ(make_folders(folder / "a").error().code(), Code::io);
  EXPECT_EQ(make_folders(folder / "a" / "b").error().code(), Code::io);
}

}  // namespace
}  // namespace tacit::store
