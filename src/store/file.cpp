#include "store/file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <string_view>

#include "core/text.hpp"
#include "core/unique_fd.hpp"
#include "crypto/random.hpp"
#include "store/abandoned.hpp"
#include "store/os_error.hpp"

namespace tacit::store {
namespace {

constexpr std::string_view kTemporarySuffix = ".tmp";
constexpr std::size_t kNonceBytes = 8;

// ".<name>.<nonce>.tmp", as write_file_atomically() makes them.
bool is_temporary(std::string_view name) {
  constexpr std::size_t nonce_digits = 2 * kNonceBytes;
  if (!name.starts_with('.') || !name.ends_with(kTemporarySuffix)) return false;
  name.remove_suffix(kTemporarySuffix.size());
  if (name.size() < nonce_digits + 3 || name[name.size() - nonce_digits - 1] != '.') return false;
  return std::ranges::all_of(name.substr(name.size() - nonce_digits), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  });
}

std::filesystem::path folder_of(const std::filesystem::path& path) {
  auto folder = path.parent_path();
  return folder.empty() ? std::filesystem::path{"."} : folder;
}

Result<void> write_all(int fd, BytesView bytes, const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const auto written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      return fail(os_error(errno, "cannot write the file", path));
    }
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
  return {};
}

// Everything between creating the temporary file and renaming it.
Result<void> fill(int fd, BytesView bytes, unsigned mode, const std::filesystem::path& path) {
  TACIT_CHECK(write_all(fd, bytes, path));
  if (::fchmod(fd, mode) != 0 || ::fsync(fd) != 0) {
    return fail(os_error(errno, "cannot write the file", path));
  }
  return {};
}

}  // namespace

Result<void> sync_folder(const std::filesystem::path& path) {
  const UniqueFd folder{::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  // EINVAL: a file system that cannot sync folders has nothing more to offer.
  if (!folder || (::fsync(folder.get()) != 0 && errno != EINVAL)) {
    return fail(os_error(errno, "cannot sync the folder", path));
  }
  return {};
}

Result<void> make_folders(const std::filesystem::path& path, unsigned mode) {
  std::filesystem::path so_far;
  for (const auto& part : path) {
    so_far /= part;
    if (::mkdir(so_far.c_str(), mode) == 0 || errno == EEXIST) continue;
    const int number = errno;
    // A parent that we may not write to, or on a read-only mount, is fine when it is there.
    struct stat info{};
    if (::stat(so_far.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) continue;
    return fail(os_error(number, "cannot create the folder", so_far));
  }
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) {
    return fail(os_error(errno, "cannot create the folder", path));
  }
  if (!S_ISDIR(info.st_mode)) {
    return fail(os_error(ENOTDIR, "a file is where a folder should be", path));
  }
  return {};
}

Result<void> write_file_atomically(const std::filesystem::path& path, BytesView bytes,
                                   unsigned mode) {
  std::array<std::byte, kNonceBytes> nonce{};
  crypto::random_bytes(nonce);
  const auto folder = folder_of(path);
  const auto temporary = folder / ("." + path.filename().string() + "." + to_hex(nonce) +
                                   std::string{kTemporarySuffix});
  UniqueFd fd{
      ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)};
  if (!fd) return fail(os_error(errno, "cannot create the file", path));
  // Says that somebody is at it. Without locks (some network file systems), nothing is swept.
  static_cast<void>(::flock(fd.get(), LOCK_EX | LOCK_NB));
  auto filled = fill(fd.get(), bytes, mode, path);
  if (filled && ::rename(temporary.c_str(), path.c_str()) != 0) {
    filled = fail(os_error(errno, "cannot replace the file", path));
  }
  if (!filled) {
    ::unlink(temporary.c_str());
    return filled;
  }
  return sync_folder(folder);
}

std::size_t remove_temporaries(const std::filesystem::path& folder, WallTime before) {
  return remove_abandoned(folder, before, is_temporary);
}

Result<Bytes> read_file(const std::filesystem::path& path, std::uint64_t size_max) {
  const UniqueFd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  struct stat info{};
  if (!fd || ::fstat(fd.get(), &info) != 0) {
    return fail(os_error(errno, "cannot open the file", path));
  }
  const auto too_large = [&](std::uint64_t size) {
    return fail(Error{Code::too_large, "file is too large"}
                    .with("bytes", static_cast<std::int64_t>(size))
                    .with("limit", static_cast<std::int64_t>(size_max))
                    .about(PublicText{path.string()}));
  };
  const auto expected = static_cast<std::uint64_t>(info.st_size);
  if (expected > size_max) return too_large(expected);
  Bytes bytes;
  bytes.reserve(expected);
  // Read to the end rather than `expected` bytes: the file may grow, and in /proc the size is 0.
  std::array<std::byte, 16 * 1024> block{};
  while (true) {
    const auto got = ::read(fd.get(), block.data(), block.size());
    if (got < 0) {
      if (errno == EINTR) continue;
      return fail(os_error(errno, "cannot read the file", path));
    }
    if (got == 0) return bytes;
    const auto part = BytesView{block}.first(static_cast<std::size_t>(got));
    if (part.size() > size_max - bytes.size()) return too_large(bytes.size() + part.size());
    bytes.insert(bytes.end(), part.begin(), part.end());
  }
}

}  // namespace tacit::store
