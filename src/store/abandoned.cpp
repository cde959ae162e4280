#include "store/abandoned.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <system_error>

#include "core/unique_fd.hpp"

namespace tacit::store {
namespace {

WallTime written_at(const struct stat& info) {
  const auto since_epoch =
      std::chrono::seconds{info.st_mtim.tv_sec} + std::chrono::nanoseconds{info.st_mtim.tv_nsec};
  return WallTime{std::chrono::duration_cast<WallTime::duration>(since_epoch)};
}

bool is_old_file(const struct stat& info, WallTime before) {
  return S_ISREG(info.st_mode) && written_at(info) < before;
}

bool remove_if_abandoned(const std::filesystem::path& path, WallTime before) {
  struct stat named{};
  // Looked at before it is opened: opening a device or a pipe can do harm.
  if (::lstat(path.c_str(), &named) != 0 || !is_old_file(named, before)) return false;
  // For writing, because some network file systems lock nothing else.
  const UniqueFd fd{::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)};
  if (!fd || ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) return false;
  // Only whoever holds the lock renames, removes or writes the file, so that what is true now
  // stays true; what was true before the lock may not be: its writer may have published it, or
  // another one gone on with it.
  struct stat locked{};
  return ::fstat(fd.get(), &locked) == 0 && is_old_file(locked, before) &&
         ::lstat(path.c_str(), &named) == 0 && named.st_ino == locked.st_ino &&
         named.st_dev == locked.st_dev && ::unlink(path.c_str()) == 0;
}

}  // namespace

std::size_t remove_abandoned(const std::filesystem::path& folder, WallTime before,
                             const std::function<bool(std::string_view name)>& is_leftover) {
  std::size_t removed = 0;
  std::error_code error;
  std::filesystem::directory_iterator entries{folder, error};
  for (; !error && entries != std::filesystem::directory_iterator{}; entries.increment(error)) {
    const auto& path = entries->path();
    if (is_leftover(path.filename().string()) && remove_if_abandoned(path, before)) ++removed;
  }
  return removed;
}

}  // namespace tacit::store
