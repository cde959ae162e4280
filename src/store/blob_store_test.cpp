#include "store/blob_store.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <memory>
#include <string>

#include "crypto/hash.hpp"
#include "store/testing/child.hpp"
#include "store/testing/temp_folder.hpp"

namespace tacit::store {
namespace {

using testing::Child;
using testing::in_child;
using testing::TempFolder;

// Bytes that differ everywhere, so that a shifted or repeated block is noticed.
Bytes pattern(std::size_t size) {
  Bytes bytes(size);
  std::uint32_t state = 1;
  for (auto& byte : bytes) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<std::byte>(state >> 24);
  }
  return bytes;
}

Digest digest_of(BytesView bytes) { return Digest::parse(crypto::sha256_hex(bytes)).value(); }

std::filesystem::path partial_of(const TempFolder& folder, const Digest& digest) {
  return folder / "blobs" / "partial" / digest.hex();
}

TEST(Digest, AcceptsOnlyLowerCaseHexOfTheRightLength) {
  const std::string hex(64, 'a');
  EXPECT_EQ(Digest::parse(hex).value().with_prefix(), "sha256:" + hex);
  EXPECT_EQ(Digest::parse("sha256:" + hex).value().hex(), hex);
  for (const auto& bad : {std::string(63, 'a'), std::string(65, 'a'), std::string(64, 'A'),
                          std::string{}, "sha256:" + std::string(63, 'a'), "sha512:" + hex,
                          std::string(61, 'a') + "/..", std::string(63, 'a') + '\0'}) {
    EXPECT_FALSE(Digest::parse(bad)) << bad;
  }
}

TEST(BlobStore, KeepsWhatWasCommitted) {
  const TempFolder folder;
  auto store = BlobStore::open(folder.path()).value();
  const auto bytes = pattern(100'000);
  const auto digest = digest_of(bytes);
  EXPECT_FALSE(store->contains(digest));
  EXPECT_EQ(store->open_blob(digest).error().code(), Code::not_found);

  auto writer = store->resume(digest, bytes.size()).value();
  ASSERT_TRUE(writer->append(BytesView{bytes}.first(60'000)));
  EXPECT_EQ(writer->offset(), 60'000u);
  EXPECT_EQ(store->partial_bytes(digest), 60'000u);
  EXPECT_FALSE(store->contains(digest));
  ASSERT_TRUE(writer->append(BytesView{bytes}.subspan(60'000)));
  EXPECT_FALSE(store->contains(digest));
  ASSERT_TRUE(writer->commit());

  EXPECT_TRUE(store->contains(digest));
  EXPECT_EQ(store->partial_bytes(digest), 0u);
  EXPECT_EQ(read_file(store->path(digest), 1'000'000).value(), bytes);
  EXPECT_EQ(store->list().value(), std::vector{digest});
  EXPECT_FALSE(std::filesystem::exists(partial_of(folder, digest)));
  EXPECT_EQ(store->resume(digest, bytes.size()).error().code(), Code::already_exists);
  EXPECT_EQ(writer->append({}).error().code(), Code::invalid_argument);
  EXPECT_EQ(writer->commit().error().code(), Code::invalid_argument);

  EXPECT_TRUE(store->remove(digest));
  EXPECT_FALSE(store->contains(digest));
  EXPECT_EQ(store->remove(digest).error().code(), Code::not_found);
}

TEST(BlobStore, TakesAnEmptyBlob) {
  const TempFolder folder;
  auto store = BlobStore::open(folder.path()).value();
  const auto digest = digest_of({});
  ASSERT_TRUE(store->resume(digest, 0).value()->commit());
  EXPECT_TRUE(store->contains(digest));
}

TEST(BlobStore, NeverShowsBytesWithTheWrongDigest) {
  const TempFolder folder;
  auto store = BlobStore::open(folder.path()).value();
  auto bytes = pattern(10'000);
  const auto digest = digest_of(bytes);
  bytes[5'000] ^= std::byte{1};
  auto writer = store->resume(digest, bytes.size()).value();
  ASSERT_TRUE(writer->append(bytes));
  const auto committed = writer->commit();
  ASSERT_FALSE(committed);
  EXPECT_EQ(committed.error().code(), Code::corrupt);
  EXPECT_FALSE(store->contains(digest));
  EXPECT_FALSE(std::filesystem::exists(partial_of(folder, digest)));
  EXPECT_TRUE(store->list().value().empty());
}

TEST(BlobStore, RefusesTooFewAndTooManyBytes) {
  const TempFolder folder;
  auto store = BlobStore::open(folder.path()).value();
  const auto bytes = pattern(1'000);
  const auto digest = digest_of(bytes);
  {
    auto writer = store->resume(digest, 1'001).value();
    ASSERT_TRUE(writer->append(bytes));
    EXPECT_EQ(writer->commit().error().code(), Code::corrupt);
  }
  {
    auto writer = store->resume(digest, 999).value();
    EXPECT_EQ(writer->append(bytes).error().code(), Code::corrupt);
    EXPECT_EQ(writer->offset(), 0u);
  }
  EXPECT_FALSE(store->contains(digest));
}

TEST(BlobStore, GoesOnWhereAnEarlierWriterStopped) {
  const TempFolder folder;
  auto store = BlobStore::open(folder.path()).value();
  const auto bytes = pattern(3'000'000);
  const auto digest = digest_of(bytes);
  for (std::size_t done = 0; done < bytes.size(); done += 700'000) {
    auto writer = store->resume(digest, bytes.size()).value();
    ASSERT_EQ(writer->offset(), done);
    const auto size = std::min<std::size_t>(700'000, bytes.size() - done);
    ASSERT_TRUE(writer->append(BytesView{bytes}.subspan(done, size)));
  }
  ASSERT_TRUE(store->resume(digest, bytes.size()).value()->commit());
  EXPECT_EQ(read_file(store->path(digest), bytes.size()).value(), bytes);
}

TEST(BlobStore, DropsAPartialFileThatIsTooLong) {
  const TempFolder folder;
  auto store = BlobStore::open(folder.path()).value();
  const auto bytes = pattern(1'000);
  const auto digest = digest_of(bytes);
  ASSERT_TRUE(write_file_atomically(partial_of(folder, digest), Bytes(2'000)));
  auto writer = store->resume(digest, bytes.size()).value();
  EXPECT_EQ(writer->offset(), 0u);
  ASSERT_TRUE(writer->append(bytes));
  EXPECT_TRUE(writer->commit());
}

TEST(BlobStore, DiscardForgetsThePartialFile) {
  const TempFolder folder;
  auto store = BlobStore::open(folder.path()).value();
  const auto bytes = pattern(1'000);
  const auto digest = digest_of(bytes);
  auto writer = store->resume(digest, bytes.size()).value();
  ASSERT_TRUE(writer->append(BytesView{bytes}.first(10)));
  writer->discard();
  EXPECT_EQ(store->resume(digest, bytes.size()).value()->offset(), 0u);
}

TEST(BlobStore, LetsOneWriterInAtATime) {
  const TempFolder folder;
  auto store = BlobStore::open(folder.path()).value();
  const auto digest = digest_of(pattern(10));
  auto writer = store->resume(digest, 10).value();
  EXPECT_EQ(store->resume(digest, 10).error().code(), Code::unavailable);
  EXPECT_EQ(in_child([&] {
              auto other = BlobStore::open(folder.path()).value();
              const auto second = other->resume(digest, 10);
              return !second && second.error().code() == Code::unavailable ? 0 : 1;
            }),
            0);
  writer.reset();
  EXPECT_TRUE(store->resume(digest, 10));
}

// The writer is killed at arbitrary moments, in the middle of append(); each successor takes over
// its lock and its bytes, and the blob comes out right.
TEST(BlobStore, SurvivesKilledWriters) {
  const TempFolder folder;
  const auto bytes = pattern(4'000'000);
  const auto digest = digest_of(bytes);
  auto store = BlobStore::open(folder.path()).value();
  const auto partial_size = [&] {
    std::error_code missing;
    const auto size = std::filesystem::file_size(partial_of(folder, digest), missing);
    return missing ? std::uintmax_t{0} : size;
  };
  for (int attempt = 0; attempt < 5; ++attempt) {
    const auto before = partial_size();
    Child child{[&] {
      auto own = BlobStore::open(folder.path()).value();
      auto writer = own->resume(digest, bytes.size()).value();
      while (writer->offset() < bytes.size()) {
        const auto size = std::min<std::size_t>(997, bytes.size() - writer->offset());
        if (!writer->append(BytesView{bytes}.subspan(writer->offset(), size))) return 1;
      }
      ::pause();
      return 0;
    }};
    // Until the child has added something, or has everything.
    while (partial_size() == before && before < bytes.size()) ::usleep(100);
    EXPECT_FALSE(store->contains(digest));
    child.kill();
    EXPECT_EQ(child.wait(), -SIGKILL);
  }
  auto writer = store->resume(digest, bytes.size()).value();
  EXPECT_GT(writer->offset(), 0u);
  ASSERT_TRUE(writer->append(BytesView{bytes}.subspan(writer->offset())));
  ASSERT_TRUE(writer->commit());
  EXPECT_EQ(read_file(store->path(digest), bytes.size()).value(), bytes);
}

// Many processes want the same blob: exactly one publishes it, the others are told why not.
TEST(BlobStore, ManyProcessesWriteOneBlobOnce) {
  const TempFolder folder;
  const auto bytes = pattern(200'000);
  const auto digest = digest_of(bytes);
  std::vector<std::unique_ptr<Child>> children;
  for (int i = 0; i < 6; ++i) {
    children.push_back(std::make_unique<Child>([&] {
      auto store = BlobStore::open(folder.path()).value();
      while (true) {
        auto writer = store->resume(digest, bytes.size());
        if (!writer) {
          if (writer.error().code() == Code::unavailable) continue;
          return writer.error().code() == Code::already_exists ? 0 : 1;
        }
        if (!(*writer)->append(BytesView{bytes}.subspan((*writer)->offset()))) return 1;
        return (*writer)->commit() ? 100 : 1;
      }
    }));
  }
  int sum = 0;
  for (auto& child : children) sum += child->wait();
  EXPECT_EQ(sum, 100);
  auto store = BlobStore::open(folder.path()).value();
  EXPECT_EQ(read_file(store->path(digest), bytes.size()).value(), bytes);
  EXPECT_FALSE(std::filesystem::exists(partial_of(folder, digest)));
}

TEST(BlobStore, RefusesUpFrontWhatCannotFit) {
  const TempFolder folder;
  auto store = BlobStore::open(folder.path()).value();
  const auto digest = digest_of(pattern(10));
  const auto writer = store->resume(digest, 1ull << 60);
  ASSERT_FALSE(writer);
  EXPECT_EQ(writer.error().code(), Code::no_space);
  EXPECT_EQ(writer.error().value("need"), 1ll << 60);
  EXPECT_GT(writer.error().value("have"), 0);
  EXPECT_FALSE(std::filesystem::exists(partial_of(folder, digest)));
}

TEST(BlobStore, KeepsWhatFittedWhenTheFileMayNotGrow) {
  const TempFolder folder;
  const auto bytes = pattern(100'000);
  const auto digest = digest_of(bytes);
  const int code = in_child([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{65'536, 65'536};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    auto store = BlobStore::open(folder.path()).value();
    auto writer = store->resume(digest, bytes.size()).value();
    const auto appended = writer->append(bytes);
    if (appended || appended.error().code() != Code::no_space) return 1;
    return writer->offset() == 65'536 ? 0 : 2;
  });
  ASSERT_EQ(code, 0);
  auto store = BlobStore::open(folder.path()).value();
  auto writer = store->resume(digest, bytes.size()).value();
  ASSERT_EQ(writer->offset(), 65'536u);
  ASSERT_TRUE(writer->append(BytesView{bytes}.subspan(65'536)));
  EXPECT_TRUE(writer->commit());
}

TEST(BlobStore, SaysNeedAndHaveWhenTheDiskFillsUp) {
  const TempFolder folder;
  if (::mount("tmpfs", folder.path().c_str(), "tmpfs", 0, "size=1m") != 0) {
    GTEST_SKIP() << "SKIPPED: a small tmpfs cannot be mounted here";
  }
  {
    auto store = BlobStore::open(folder.path()).value();
    const auto bytes = pattern(900'000);
    const auto digest = digest_of(bytes);
    auto writer = store->resume(digest, bytes.size()).value();
    // Somebody else fills the disk after the check up front.
    EXPECT_TRUE(write_file_atomically(folder / "filler", Bytes(500'000)));
    const auto appended = writer->append(bytes);
    ASSERT_FALSE(appended);
    EXPECT_EQ(appended.error().code(), Code::no_space);
    EXPECT_EQ(appended.error().value("need"),
              static_cast<std::int64_t>(bytes.size() - writer->offset()));
    std::filesystem::remove(folder / "filler");
    ASSERT_TRUE(writer->append(BytesView{bytes}.subspan(writer->offset())));
    EXPECT_TRUE(writer->commit());
  }
  EXPECT_EQ(::umount(folder.path().c_str()), 0);
}

TEST(BlobStore, NamesTheFolderItMayNotWrite) {
  const TempFolder folder;
  ::chmod(folder.path().c_str(), 0555);
  const int code = in_child([&] {
    if (::geteuid() == 0 && ::setuid(65534) != 0) return 0;
    const auto store = BlobStore::open(folder / "models");
    if (store || store.error().code() != Code::permission) return 1;
    return store.error().subject() == (folder / "models").string() ? 0 : 2;
  });
  EXPECT_EQ(code, 0);
  ::chmod(folder.path().c_str(), 0755);
}

TEST(BlobStore, OpensReadOnlyForOthers) {
  const TempFolder folder;
  ::chmod(folder.path().c_str(), 0755);
  const auto bytes = pattern(100);
  const auto digest = digest_of(bytes);
  {
    auto store = BlobStore::open(folder.path()).value();
    auto writer = store->resume(digest, bytes.size()).value();
    ASSERT_TRUE(writer->append(bytes));
    ASSERT_TRUE(writer->commit());
  }
  const int code = in_child([&] {
    if (::geteuid() == 0 && ::setuid(65534) != 0) return 0;
    auto store = BlobStore::open(folder.path());
    return store && (*store)->open_blob(digest) ? 0 : 1;
  });
  EXPECT_EQ(code, 0);
}

TEST(BlobStore, IgnoresForeignNamesInItsFolder) {
  const TempFolder folder;
  auto store = BlobStore::open(folder.path()).value();
  ASSERT_TRUE(write_file_atomically(folder / "blobs" / "sha256" / "README", as_bytes("x")));
  EXPECT_TRUE(store->list().value().empty());
}

}  // namespace
}  // namespace tacit::store
