#include "store/blob_store.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <system_error>
#include <utility>

#include "core/text.hpp"
#include "crypto/hash.hpp"
#include "store/abandoned.hpp"
#include "store/os_error.hpp"
#include "store/staged_blob.hpp"

namespace tacit::store {
namespace {

constexpr std::size_t kReadBytes = 1024 * 1024;

class FileBlobWriter final : public BlobWriter {
 public:
  FileBlobWriter(UniqueFd fd, std::filesystem::path partial, std::filesystem::path target,
                 std::string hex, std::uint64_t size_bytes)
      : fd_{std::move(fd)},
        partial_{std::move(partial)},
        target_{std::move(target)},
        hex_{std::move(hex)},
        size_bytes_{size_bytes} {}

  std::uint64_t offset() const override { return offset_; }

  // Hashes what an earlier attempt left. A partial file longer than promised is of no use.
  Result<void> rehash() {
    struct stat info{};
    if (::fstat(fd_.get(), &info) != 0) return io("cannot read the partial file");
    auto left = static_cast<std::uint64_t>(info.st_size);
    if (left > size_bytes_) {
      if (::ftruncate(fd_.get(), 0) != 0) return io("cannot shorten the partial file");
      left = 0;
    }
    Bytes block(static_cast<std::size_t>(std::min<std::uint64_t>(left, kReadBytes)));
    while (offset_ < left) {
      const auto want = std::min<std::uint64_t>(left - offset_, block.size());
      const auto got = ::pread(fd_.get(), block.data(), static_cast<std::size_t>(want),
                               static_cast<off_t>(offset_));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return io("cannot read the partial file");
      hash_.update(BytesView{block}.first(static_cast<std::size_t>(got)));
      offset_ += static_cast<std::uint64_t>(got);
    }
    return {};
  }

  Result<void> append(BytesView bytes) override {
    if (!fd_) return fail(Code::invalid_argument, "the blob's writer has ended");
    if (bytes.size() > size_bytes_ - offset_) {
      return fail(Error{Code::corrupt, "more bytes than the blob should have"}
                      .with("limit", static_cast<std::int64_t>(size_bytes_))
                      .about(PublicText{hex_}));
    }
    while (!bytes.empty()) {
      const auto written =
          ::pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset_));
      if (written < 0) {
        if (errno == EINTR) continue;
        if (errno == ENOSPC || errno == EDQUOT) {
          return fail(no_space_error(size_bytes_ - offset_, free_bytes(partial_), partial_));
        }
        return io("cannot write the partial file");
      }
      const auto part = bytes.first(static_cast<std::size_t>(written));
      hash_.update(part);
      offset_ += part.size();
      bytes = bytes.subspan(part.size());
    }
    return {};
  }

  Result<void> commit() override {
    if (!fd_) return fail(Code::invalid_argument, "the blob's writer has ended");
    if (offset_ != size_bytes_) {
      discard();
      return fail(Error{Code::corrupt, "fewer bytes than the blob should have"}
                      .with("bytes", static_cast<std::int64_t>(offset_))
                      .with("expected", static_cast<std::int64_t>(size_bytes_))
                      .about(PublicText{hex_}));
    }
    if (to_hex(hash_.finish()) != hex_) {
      discard();
      return fail(Error{Code::corrupt, "the bytes do not have the expected SHA-256"}.about(
          PublicText{hex_}));
    }
    if (::fsync(fd_.get()) != 0) return io("cannot write the partial file");
    if (::rename(partial_.c_str(), target_.c_str()) != 0) return io("cannot publish the blob");
    // Read-only from now on: a blob never changes. Not earlier, for a partial file has to be
    // writable to whoever comes after a crash.
    static_cast<void>(::fchmod(fd_.get(), 0444));
    fd_.reset();
    return sync_folder(target_.parent_path());
  }

  void discard() noexcept override {
    if (!fd_) return;
    ::unlink(partial_.c_str());
    fd_.reset();  // only now: whoever waits for the lock must not open the doomed file
  }

 private:
  std::unexpected<Error> io(Literal what) const { return fail(os_error(errno, what, partial_)); }

  UniqueFd fd_;  // carries the lock
  std::filesystem::path partial_;
  std::filesystem::path target_;
  std::string hex_;
  std::uint64_t size_bytes_;
  std::uint64_t offset_ = 0;
  crypto::Sha256 hash_;
};

class FileBlobStore final : public BlobStore {
 public:
  explicit FileBlobStore(const std::filesystem::path& root)
      : blobs_{root / "blobs" / "sha256"}, partial_{root / "blobs" / "partial"} {}

  Result<void> prepare() const {
    TACIT_CHECK(make_folders(blobs_));
    return make_folders(partial_);
  }

  bool contains(const Digest& digest) const override {
    struct stat info{};
    return ::stat(path(digest).c_str(), &info) == 0 && S_ISREG(info.st_mode);
  }

  std::filesystem::path path(const Digest& digest) const override { return blobs_ / digest.hex(); }

  Result<UniqueFd> open_blob(const Digest& digest) const override {
    UniqueFd fd{::open(path(digest).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)};
    if (!fd) return fail(os_error(errno, "cannot open the blob", path(digest)));
    return fd;
  }

  Result<std::unique_ptr<BlobWriter>> resume(const Digest& digest,
                                             std::uint64_t size_bytes) override {
    TACIT_TRY(auto fd, lock_partial(digest));
    const auto partial = partial_ / digest.hex();
    if (contains(digest)) {  // asked under the lock: another process may just have finished it
      ::unlink(partial.c_str());
      return fail(Error{Code::already_exists, "blob exists"}.about(PublicText{digest.hex()}));
    }
    auto writer = std::make_unique<FileBlobWriter>(std::move(fd), partial, path(digest),
                                                   digest.hex(), size_bytes);
    TACIT_CHECK(writer->rehash());
    const auto need = size_bytes - writer->offset();
    if (const auto have = free_bytes(partial_); need > have) {
      if (writer->offset() == 0) writer->discard();
      return fail(no_space_error(need, have, partial_));
    }
    return writer;
  }

  std::uint64_t partial_bytes(const Digest& digest) const override {
    struct stat info{};
    const auto partial = partial_ / digest.hex();
    return ::stat(partial.c_str(), &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
  }

  Result<void> remove(const Digest& digest) override {
    if (::unlink(path(digest).c_str()) != 0) {
      return fail(os_error(errno, "cannot remove the blob", path(digest)));
    }
    return sync_folder(blobs_);
  }

  Result<std::vector<Digest>> list() const override {
    std::error_code error;
    std::vector<Digest> digests;
    std::filesystem::directory_iterator entries{blobs_, error};
    for (; !error && entries != std::filesystem::directory_iterator{}; entries.increment(error)) {
      auto digest = Digest::parse(entries->path().filename().string());
      if (digest) digests.push_back(*std::move(digest));
    }
    if (error) return fail(os_error(error.value(), "cannot read the folder", blobs_));
    std::ranges::sort(digests, {}, &Digest::hex);
    return digests;
  }

  std::size_t remove_abandoned(WallTime before, const Digest& keep) override {
    return store::remove_abandoned(partial_, before, [&keep](std::string_view name) {
      return is_staged_name(name) || (Digest::parse(name) && name != keep.hex());
    });
  }
  std::size_t remove_abandoned(WallTime before) override {
    return store::remove_abandoned(partial_, before, [](std::string_view name) {
      return is_staged_name(name) || Digest::parse(name);
    });
  }

  Result<std::filesystem::path> quarantine(const Digest& digest) override {
    const auto folder = blobs_.parent_path() / "quarantine";
    TACIT_CHECK(make_folders(folder));
    auto target = folder / digest.hex();
    if (::rename(path(digest).c_str(), target.c_str()) != 0) {
      return fail(os_error(errno, "cannot move the blob", path(digest)));
    }
    TACIT_CHECK(sync_folder(blobs_));
    return target;
  }

  std::filesystem::path staging_folder() const override { return partial_; }

 private:
  // Opens the partial file of `digest` with its lock held.
  Result<UniqueFd> lock_partial(const Digest& digest) const {
    const auto partial = partial_ / digest.hex();
    while (true) {
      if (contains(digest)) {
        return fail(Error{Code::already_exists, "blob exists"}.about(PublicText{digest.hex()}));
      }
      UniqueFd fd{::open(partial.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644)};
      if (!fd) return fail(os_error(errno, "cannot open the partial file", partial));
      while (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno == EINTR) continue;
        if (errno != EWOULDBLOCK) {
          return fail(os_error(errno, "cannot lock the partial file", partial));
        }
        return fail(Error{Code::unavailable, "another process is writing this blob"}
                        .about(PublicText{digest.hex()})
                        .fix("Wait for it to finish, or stop it, and try again"));
      }
      // Between open and lock the former owner may have published or removed this very file; then
      // the lock is on something that no longer has the name, and it has to be opened anew.
      struct stat locked{};
      struct stat named{};
      if (::fstat(fd.get(), &locked) != 0) {
        return fail(os_error(errno, "cannot open the partial file", partial));
      }
      if (::stat(partial.c_str(), &named) == 0 && named.st_ino == locked.st_ino &&
          named.st_dev == locked.st_dev) {
        return fd;
      }
    }
  }

  std::filesystem::path blobs_;
  std::filesystem::path partial_;
};

}  // namespace

Result<Digest> Digest::parse(std::string_view text) {
  constexpr std::string_view prefix = "sha256:";
  if (text.starts_with(prefix)) text.remove_prefix(prefix.size());
  const bool well_formed = text.size() == 64 && std::ranges::all_of(text, [](char c) {
                             return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
                           });
  if (!well_formed) return fail(Code::malformed, "not a SHA-256 digest (64 lower-case hex digits)");
  return Digest{std::string{text}};
}

Result<std::unique_ptr<BlobStore>> BlobStore::open(const std::filesystem::path& root) {
  auto store = std::make_unique<FileBlobStore>(root);
  TACIT_CHECK(store->prepare());
  return store;
}

}  // namespace tacit::store
