#include "store/folder_lock.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>

#include <cerrno>
#include <chrono>
#include <utility>

#include "store/os_error.hpp"

namespace tacit::store {
namespace {

constexpr int kPollMs = 20;

}  // namespace

Result<std::optional<FolderLock>> FolderLock::try_take(const std::filesystem::path& folder,
                                                       Kind kind) {
  const auto path = folder / "lock";
  // Read only where that suffices: some network file systems want to write for an exclusive lock.
  UniqueFd fd{::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644)};
  if (!fd && kind == Kind::shared) fd = UniqueFd{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!fd) return fail(os_error(errno, "cannot open the lock", path));
  const int operation = (kind == Kind::shared ? LOCK_SH : LOCK_EX) | LOCK_NB;
  while (::flock(fd.get(), operation) != 0) {
    if (errno == EINTR) continue;
    if (errno == EWOULDBLOCK) return std::optional<FolderLock>{};
    return fail(os_error(errno, "cannot lock the folder", path));
  }
  return std::optional<FolderLock>{FolderLock{std::move(fd)}};
}

Result<FolderLock> FolderLock::take(const std::filesystem::path& folder, Kind kind,
                                    Deadline deadline) {
  while (true) {
    TACIT_TRY(auto lock, try_take(folder, kind));
    if (lock) return *std::move(lock);
    if (deadline.passed(std::chrono::steady_clock::now())) {
      return fail(Error{Code::unavailable, "another process is changing the store"}
                      .about(PublicText{folder.string()})
                      .fix("Wait for it to finish, or stop it, and try again"));
    }
    ::poll(nullptr, 0, kPollMs);
  }
}

}  // namespace tacit::store
