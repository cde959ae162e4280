#include "store/output_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <string_view>

#include "core/text.hpp"
#include "core/time.hpp"
#include "crypto/random.hpp"
#include "store/abandoned.hpp"
#include "store/file.hpp"
#include "store/os_error.hpp"

namespace tacit::store {

Result<OutputFile> OutputFile::create(const std::filesystem::path& path,
                                      std::uint64_t expected_bytes) {
  const auto folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path{"."};
  const auto prefix = "." + path.filename().string() + ".";
  static constexpr std::string_view kSuffix = ".part";
  std::array<std::byte, 8> nonce{};
  const auto is_attempt = [&](std::string_view name) {
    return name.size() == prefix.size() + 2 * nonce.size() + kSuffix.size() &&
           name.starts_with(prefix) && name.ends_with(kSuffix);
  };
  remove_abandoned(folder, WallTime::max(), is_attempt);
  crypto::random_bytes(nonce);
  auto temporary = folder / (prefix + to_hex(nonce) + std::string{kSuffix});
  UniqueFd fd{
      ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644)};
  if (!fd) return fail(os_error(errno, "cannot create the file", path));
  static_cast<void>(::flock(fd.get(), LOCK_EX | LOCK_NB));
  OutputFile file{std::move(fd), std::move(temporary), path, expected_bytes};
  if (const auto have = free_bytes(folder); expected_bytes > have) {
    return fail(no_space_error(expected_bytes, have, path).fix("Write it to another disk"));
  }
  return file;
}

OutputFile::~OutputFile() {
  if (fd_) ::unlink(temporary_.c_str());
}

Result<void> OutputFile::append(BytesView bytes) {
  while (!bytes.empty()) {
    const auto n = ::write(fd_.get(), bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == ENOSPC || errno == EDQUOT)) {
      const auto need = expected_ > size_ ? expected_ - size_ : bytes.size();
      return fail(
          no_space_error(need, free_bytes(temporary_), path_).fix("Write it to another disk"));
    }
    if (n < 0) return fail(os_error(errno, "cannot write the file", path_));
    size_ += static_cast<std::uint64_t>(n);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

Result<void> OutputFile::commit() {
  if (::fsync(fd_.get()) != 0 || ::rename(temporary_.c_str(), path_.c_str()) != 0) {
    return fail(os_error(errno, "cannot write the file", path_));
  }
  fd_.reset();
  return sync_folder(path_.has_parent_path() ? path_.parent_path() : std::filesystem::path{"."});
}

}  // namespace tacit::store
