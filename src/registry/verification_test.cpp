#include "registry/verification.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "core/unique_fd.hpp"
#include "crypto/hash.hpp"
#include "store/file.hpp"
#include "store/testing/temp_folder.hpp"

namespace tacit::registry {
namespace {

using store::testing::TempFolder;

class Verification : public ::testing::Test {
 protected:
  void put(std::string_view bytes) {
    ASSERT_TRUE(store::write_file_atomically(folder / "blob", as_bytes(bytes)));
  }
  UniqueFd open() { return UniqueFd{::open((folder / "blob").c_str(), O_RDWR | O_CLOEXEC)}; }
  static store::Digest digest_of(std::string_view bytes) {
    return store::Digest::parse(crypto::sha256_hex(as_bytes(bytes))).value();
  }

  TempFolder folder;
  VerificationCache cache{folder.path()};
};

TEST_F(Verification, HashesFilesOfAnySize) {
  for (const std::size_t size : {0u, 1u, 1'048'576u, 1'048'577u}) {
    const std::string bytes(size, 'x');
    put(bytes);
    EXPECT_EQ(hash_file(open().get()).value(), digest_of(bytes));
  }
}

TEST_F(Verification, RemembersTheFileAsItIs) {
  put("weights");
  const auto digest = digest_of("weights");
  EXPECT_FALSE(cache.knows(digest, open().get()));
  ASSERT_TRUE(cache.verify(digest, open().get()));
  EXPECT_TRUE(cache.knows(digest, open().get()));
  EXPECT_FALSE(cache.knows(digest_of("other"), open().get()));
  cache.forget(digest);
  EXPECT_FALSE(cache.knows(digest, open().get()));
}

TEST_F(Verification, NoticesAReplacedFile) {
  put("weights");
  ASSERT_TRUE(cache.verify(digest_of("weights"), open().get()));
  put("weights");  // the same bytes, but another inode: looked at again, and found good
  EXPECT_FALSE(cache.knows(digest_of("weights"), open().get()));
  EXPECT_TRUE(cache.verify(digest_of("weights"), open().get()));
  put("wEights");
  EXPECT_EQ(cache.verify(digest_of("weights"), open().get()).error().code(), Code::corrupt);
}

TEST_F(Verification, NoticesAChangeInPlaceEvenWithTheOldTimeSetBack) {
  put("weights");
  const auto digest = digest_of("weights");
  ASSERT_TRUE(cache.verify(digest, open().get()));
  struct stat before{};
  ASSERT_EQ(::stat((folder / "blob").c_str(), &before), 0);
  const auto fd = open();
  // The kernel's clock for file times ticks every few milliseconds: write until it has moved on.
  struct stat after{};
  do {
    ASSERT_EQ(::pwrite(fd.get(), "W", 1, 0), 1);
    const timespec times[2] = {before.st_atim, before.st_mtim};
    ASSERT_EQ(::futimens(fd.get(), times), 0);
    ASSERT_EQ(::fstat(fd.get(), &after), 0);
  } while (after.st_ctim.tv_sec == before.st_ctim.tv_sec &&
           after.st_ctim.tv_nsec == before.st_ctim.tv_nsec);
  EXPECT_EQ(after.st_mtim.tv_nsec, before.st_mtim.tv_nsec);
  EXPECT_FALSE(cache.knows(digest, open().get()));
  EXPECT_EQ(cache.verify(digest, open().get()).error().code(), Code::corrupt);
}

TEST_F(Verification, WorksWithoutAFolderToRememberIn) {
  put("weights");
  const VerificationCache nowhere{"/proc/none"};
  EXPECT_TRUE(nowhere.verify(digest_of("weights"), open().get()));
  EXPECT_FALSE(nowhere.knows(digest_of("weights"), open().get()));
}

}  // namespace
}  // namespace tacit::registry
