#include "store/abandoned.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "crypto/hash.hpp"
#include "store/blob_store.hpp"
#include "store/file.hpp"
#include "store/testing/child.hpp"
#include "store/testing/temp_folder.hpp"

namespace tacit::store {
namespace {

namespace fs = std::filesystem;
using testing::Child;
using testing::TempFolder;

constexpr std::int64_t kOld = 1'000'000'000;
constexpr WallTime kBefore{std::chrono::seconds{kOld + 1}};
constexpr const char* kTemporary = ".a.0123456789abcdef.tmp";

void set_written(const fs::path& path, std::int64_t unix_s) {
  const std::array<timespec, 2> times{timespec{unix_s, 0}, timespec{unix_s, 0}};
  ASSERT_EQ(::utimensat(AT_FDCWD, path.c_str(), times.data(), AT_SYMLINK_NOFOLLOW), 0);
}

void make_old(const fs::path& path) {
  ASSERT_TRUE(write_file_atomically(path, as_bytes("left")));
  set_written(path, kOld);
}

bool any(std::string_view) { return true; }

TEST(RemoveAbandoned, TakesOldFilesOfTheRightNameAlone) {
  const TempFolder folder;
  for (const char* name : {"old", "other", "new"}) make_old(folder / name);
  set_written(folder / "new", kOld + 1);  // not before
  const auto removed = remove_abandoned(
      folder.path(), kBefore, [](std::string_view name) { return name == "old" || name == "new"; });
  EXPECT_EQ(removed, 1u);
  EXPECT_FALSE(fs::exists(folder / "old"));
  EXPECT_TRUE(fs::exists(folder / "other"));
  EXPECT_TRUE(fs::exists(folder / "new"));
}

TEST(RemoveAbandoned, LeavesWhatIsNotAFileAndWhatLinksLeadTo) {
  const TempFolder folder;
  const TempFolder elsewhere;
  make_old(elsewhere / "mine");
  fs::create_symlink(elsewhere / "mine", folder / "link");
  set_written(folder / "link", kOld);
  fs::create_directory(folder / "folder");
  set_written(folder / "folder", kOld);
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  set_written(folder / "pipe", kOld);
  EXPECT_EQ(remove_abandoned(folder.path(), kBefore, any), 0u);
  EXPECT_TRUE(fs::exists(elsewhere / "mine"));
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(remove_abandoned(folder / "no such folder", kBefore, any), 0u);
}

TEST(RemoveAbandoned, LeavesWhatAnotherProcessHolds) {
  const TempFolder folder;
  make_old(folder / "held");
  std::array<int, 2> ready{};
  ASSERT_EQ(::pipe(ready.data()), 0);
  Child owner{[&] {
    const int fd = ::open((folder / "held").c_str(), O_RDWR | O_CLOEXEC);
    if (fd < 0 || ::flock(fd, LOCK_EX) != 0 || ::write(ready[1], "x", 1) != 1) return 1;
    ::pause();
    return 0;
  }};
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  EXPECT_EQ(remove_abandoned(folder.path(), kBefore, any), 0u);
  owner.kill();
  owner.wait();
  EXPECT_EQ(remove_abandoned(folder.path(), kBefore, any), 1u);
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST(RemoveTemporaries, KnowsTheNamesOfAtomicWritesOnly) {
  const TempFolder folder;
  const std::vector<std::string> foreign{"a",
                                         ".a.tmp",
                                         "a.0123456789abcdef.tmp",
                                         ".a.0123456789abcdeX.tmp",
                                         "..0123456789abcdef.tmp",
                                         ".a.0123456789abcdef.tmp.json"};
  for (const auto& name : foreign) make_old(folder / name);
  make_old(folder / kTemporary);
  EXPECT_EQ(remove_temporaries(folder.path(), kBefore), 1u);
  EXPECT_FALSE(fs::exists(folder / kTemporary));
  for (const auto& name : foreign) EXPECT_TRUE(fs::exists(folder / name)) << name;
}

Digest digest_of(std::string_view text) {
  return Digest::parse(crypto::sha256_hex(as_bytes(text))).value();
}

TEST(BlobStoreLeftovers, GoButForTheOneThatIsWantedAndThoseInWork) {
  const TempFolder folder;
  auto store = BlobStore::open(folder.path()).value();
  const auto partial = folder / "blobs" / "partial";
  const auto dead = digest_of("dead");
  const auto wanted = digest_of("wanted");
  const auto in_work = digest_of("in work");
  const auto done = digest_of("done");
  for (const auto& digest : {dead, wanted}) make_old(partial / digest.hex());
  make_old(partial / "README");
  auto writer = store->resume(in_work, 100).value();
  set_written(partial / in_work.hex(), kOld);  // a writer that has been waiting for long
  auto finished = store->resume(done, 4).value();
  ASSERT_TRUE(finished->append(as_bytes("done")));
  ASSERT_TRUE(finished->commit());
  set_written(store->path(done), kOld);

  EXPECT_EQ(store->remove_abandoned(kBefore, wanted), 1u);
  EXPECT_FALSE(fs::exists(partial / dead.hex()));
  EXPECT_TRUE(fs::exists(partial / wanted.hex()));
  EXPECT_TRUE(fs::exists(partial / "README"));
  EXPECT_TRUE(store->contains(done));
  ASSERT_TRUE(writer->append(as_bytes("goes on")));
  writer.reset();
  EXPECT_EQ(store->partial_bytes(in_work), 7u);
}

// Writers and sweepers at once, on files that always look old: every writer that was let in
// publishes what it wrote, whatever was swept in between.
TEST(BlobStoreLeftovers, SweepingDisturbsNoWriter) {
  const TempFolder folder;
  constexpr int kBlobs = 60;
  const WallTime all{std::chrono::seconds{4'000'000'000}};
  std::vector<std::unique_ptr<Child>> children;
  for (int i = 0; i < 2; ++i) {
    children.push_back(std::make_unique<Child>([&] {
      auto store = BlobStore::open(folder.path()).value();
      for (int blob = 0; blob < kBlobs; ++blob) {
        const auto text = "blob " + std::to_string(blob);
        const auto digest = digest_of(text);
        while (!store->contains(digest)) {
          auto writer = store->resume(digest, text.size());
          if (!writer) continue;  // the other one or a sweeper has it just now
          const auto rest = as_bytes(text).subspan((*writer)->offset());
          if (!(*writer)->append(rest.first(rest.size() / 2))) return 1;
          if (!(*writer)->append(rest.subspan(rest.size() / 2))) return 2;
          if (!(*writer)->commit()) return 3;
        }
      }
      return 0;
    }));
  }
  Child sweeper{[&] {
    auto store = BlobStore::open(folder.path()).value();
    for (;;) static_cast<void>(store->remove_abandoned(all, digest_of("nothing")));
    return 0;
  }};
  for (auto& child : children) EXPECT_EQ(child->wait(), 0);
  auto store = BlobStore::open(folder.path()).value();
  EXPECT_EQ(store->list().value().size(), static_cast<std::size_t>(kBlobs));
}

}  // namespace
}  // namespace tacit::store
