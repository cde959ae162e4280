#include "store/staged_blob.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>
#include <string>
#include <utility>

#include "core/text.hpp"
#include "crypto/hash.hpp"
#include "crypto/random.hpp"
#include "store/os_error.hpp"

namespace tacit::store {
namespace {

constexpr std::string_view kPrefix = "import-";
constexpr std::size_t kNonceBytes = 8;
constexpr std::size_t kBlockBytes = 1024 * 1024;

std::uint64_t modified(const struct stat& info) noexcept {
  return static_cast<std::uint64_t>(info.st_mtim.tv_sec) * 1'000'000'000u +
         static_cast<std::uint64_t>(info.st_mtim.tv_nsec);
}

// Deletes the file unless told to keep it.
class Cleanup {
 public:
  explicit Cleanup(const std::filesystem::path& path) : path_{&path} {}
  ~Cleanup() {
    if (path_ != nullptr) ::unlink(path_->c_str());
  }
  Cleanup(const Cleanup&) = delete;
  Cleanup& operator=(const Cleanup&) = delete;
  void keep() noexcept { path_ = nullptr; }

 private:
  const std::filesystem::path* path_;
};

Result<UniqueFd> open_source(const std::filesystem::path& source, struct stat& info) {
  UniqueFd fd{::open(source.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (!fd || ::fstat(fd.get(), &info) != 0) {
    return fail(os_error(errno, "cannot open the file", source));
  }
  if (!S_ISREG(info.st_mode)) {
    return fail(Error{Code::unsupported, "not a regular file"}.about(PublicText{source.string()}));
  }
  return fd;
}

// Another name of the file that is open, if it is ours alone to change.
std::optional<UniqueFd> hard_link(int source, const struct stat& info,
                                  const std::filesystem::path& target) {
  constexpr mode_t others_may_write = S_IWGRP | S_IWOTH;
  if (info.st_uid != ::geteuid() || (info.st_mode & others_may_write) != 0) return std::nullopt;
  const auto name = "/proc/self/fd/" + std::to_string(source);
  if (::linkat(AT_FDCWD, name.c_str(), AT_FDCWD, target.c_str(), AT_SYMLINK_FOLLOW) != 0) {
    return std::nullopt;
  }
  UniqueFd fd{::open(target.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW)};
  // Shared: another process may be importing the same file, and that is its inode, too.
  if (fd && ::flock(fd.get(), LOCK_SH | LOCK_NB) == 0) return fd;
  ::unlink(target.c_str());
  return std::nullopt;
}

// Hashes `in` from its start; with `out`, copies it along.
class Passage {
 public:
  Passage(int in, int out, std::uint64_t size, const StageOptions& options)
      : in_{in}, out_{out}, size_{size}, options_{options} {}

  Result<Digest> run(const std::filesystem::path& from, const std::filesystem::path& to) {
    ::posix_fadvise(in_, 0, 0, POSIX_FADV_SEQUENTIAL);
    crypto::Sha256 hash;
    Bytes block(kBlockBytes);
    std::uint64_t offset = 0;
    while (offset < size_) {
      const auto want =
          static_cast<std::size_t>(std::min<std::uint64_t>(size_ - offset, block.size()));
      const auto got = ::pread(in_, block.data(), want, static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return fail(os_error(errno, "cannot read the file", from));
      if (got == 0) {
        return fail(Error{Code::corrupt, "the file became shorter while it was read"}.about(
            PublicText{from.string()}));
      }
      const auto part = BytesView{block}.first(static_cast<std::size_t>(got));
      if (out_ >= 0) TACIT_CHECK(write(part, offset, to));
      hash.update(part);
      offset += part.size();
      if (options_.on_hashed) options_.on_hashed(offset);
    }
    return Digest::parse(to_hex(hash.finish()));
  }

 private:
  Result<void> write(BytesView part, std::uint64_t offset, const std::filesystem::path& to) const {
    while (!part.empty()) {
      const auto n = ::pwrite(out_, part.data(), part.size(), static_cast<off_t>(offset));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && (errno == ENOSPC || errno == EDQUOT)) {
        return fail(no_space_error(size_ - offset, free_bytes(to.parent_path()), to));
      }
      if (n < 0) return fail(os_error(errno, "cannot write the file", to));
      part = part.subspan(static_cast<std::size_t>(n));
      offset += static_cast<std::uint64_t>(n);
    }
    return {};
  }

  int in_;
  int out_;
  std::uint64_t size_;
  const StageOptions& options_;
};

struct Placed {
  UniqueFd fd;
  Placement how = Placement::copy;
};

// Puts something at `target` that will have the bytes of `source`; only a copy is still empty.
Result<Placed> place(int source, const struct stat& info, const std::filesystem::path& target,
                     const StageOptions& options) {
  UniqueFd own{::open(target.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600)};
  if (!own) return fail(os_error(errno, "cannot create the file", target));
  static_cast<void>(::flock(own.get(), LOCK_EX | LOCK_NB));
  if (options.may_link && ::ioctl(own.get(), FICLONE, source) == 0) {
    return Placed{std::move(own), Placement::reflink};
  }
  if (options.may_link) {
    const auto link = std::filesystem::path{target.string() + "l"};
    if (auto linked = hard_link(source, info, link)) {
      if (::rename(link.c_str(), target.c_str()) == 0) {
        return Placed{*std::move(linked), Placement::hard_link};
      }
      ::unlink(link.c_str());
    }
  }
  const auto need = static_cast<std::uint64_t>(info.st_size);
  if (const auto have = free_bytes(target.parent_path()); need > have) {
    ::unlink(target.c_str());
    return fail(no_space_error(need, have, target.parent_path()));
  }
  return Placed{std::move(own), Placement::copy};
}

}  // namespace

std::string_view placement_name(Placement placement) noexcept {
  switch (placement) {
    case Placement::reflink: return "reflink";
    case Placement::hard_link: return "hard link";
    case Placement::copy: return "copy";
    case Placement::already_there: return "already there";
  }
  return "";
}

bool is_staged_name(std::string_view name) noexcept {
  if (!name.starts_with(kPrefix)) return false;
  name.remove_prefix(kPrefix.size());
  if (name.size() == 2 * kNonceBytes + 1 && name.ends_with('l')) name.remove_suffix(1);
  return name.size() == 2 * kNonceBytes && std::ranges::all_of(name, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

Result<StagedBlob> StagedBlob::from_file(BlobStore& store, const std::filesystem::path& source,
                                         const StageOptions& options) {
  struct stat info{};
  TACIT_TRY(const auto in, open_source(source, info));
  std::array<std::byte, kNonceBytes> nonce{};
  crypto::random_bytes(nonce);
  auto target = store.staging_folder() / (std::string{kPrefix} + to_hex(nonce));
  TACIT_TRY(auto placed, place(in.get(), info, target, options));
  Cleanup cleanup{target};
  const bool copying = placed.how == Placement::copy;
  struct stat before{};
  if (::fstat(copying ? in.get() : placed.fd.get(), &before) != 0) {
    return fail(os_error(errno, "cannot read the file", source));
  }
  const auto size = static_cast<std::uint64_t>(before.st_size);
  Passage passage{copying ? in.get() : placed.fd.get(), copying ? placed.fd.get() : -1, size,
                  options};
  TACIT_TRY(auto digest, passage.run(source, target));
  struct stat after{};
  if (::fstat(copying ? in.get() : placed.fd.get(), &after) != 0 ||
      modified(after) != modified(before) || after.st_size != before.st_size) {
    return fail(Error{Code::corrupt, "the file was changed while it was read"}.about(
        PublicText{source.string()}));
  }
  if (::fstat(placed.fd.get(), &after) != 0) {
    return fail(os_error(errno, "cannot read the file", target));
  }
  cleanup.keep();
  return StagedBlob{std::move(placed.fd), std::move(target), std::move(digest), size,
                    placed.how,           modified(after)};
}

StagedBlob::~StagedBlob() {
  if (fd_ && !path_.empty()) ::unlink(path_.c_str());
}

Result<void> StagedBlob::publish(BlobStore& store) {
  if (store.contains(digest_)) {
    ::unlink(path_.c_str());
    path_.clear();
    placement_ = Placement::already_there;
    return {};
  }
  struct stat now{};
  if (::fstat(fd_.get(), &now) != 0 || modified(now) != modified_ ||
      static_cast<std::uint64_t>(now.st_size) != size_bytes_) {
    return fail(Error{Code::corrupt, "the file was changed since it was read"}.about(
        PublicText{digest_.with_prefix()}));
  }
  const auto target = store.path(digest_);
  if (placement_ != Placement::hard_link) {  // whose mode belongs to the original as well
    if (::fchmod(fd_.get(), 0444) != 0 || ::fsync(fd_.get()) != 0) {
      return fail(os_error(errno, "cannot write the file", path_));
    }
  }
  if (::rename(path_.c_str(), target.c_str()) != 0) {
    return fail(os_error(errno, "cannot publish the blob", target));
  }
  // Two names of one file are left alone by rename(), so that the staged one may remain.
  ::unlink(path_.c_str());
  path_.clear();
  return sync_folder(target.parent_path());
}

}  // namespace tacit::store
