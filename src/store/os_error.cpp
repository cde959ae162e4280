#include "store/os_error.hpp"

#include <sys/statvfs.h>

#include <cerrno>
#include <cstdint>

namespace tacit::store {

Error os_error(int number, Literal what, const std::filesystem::path& path) {
  const auto about = [&](Error error) {
    return std::move(error).with("errno", number).about(PublicText{path.string()});
  };
  switch (number) {
    case ENOENT: return about({Code::not_found, what});
    case EEXIST: return about({Code::already_exists, what});
    case EACCES:
    case EPERM:
      return about(Error{Code::permission, "permission denied"}.fix(
          "Check who owns the folder, or choose another with TACIT_HOME"));
    case EROFS:
      return about(Error{Code::permission, "read-only file system"}.fix(
          "Choose a writable folder with TACIT_HOME"));
    case ENOSPC:
      return about(Error{Code::no_space, "no space left on the disk"}.fix(
          "Free some space, or choose another folder with TACIT_HOME"));
    case EDQUOT:
      return about(Error{Code::no_space, "disk quota used up"}.fix(
          "Free some space, or choose another folder with TACIT_HOME"));
    case EFBIG:
      return about(Error{Code::no_space, "file size limit of the process reached"}.fix(
          "Raise the limit (ulimit -f)"));
    case EMFILE:
    case ENFILE:
      return about(Error{Code::io, "too many open files"}.fix("Raise the limit (ulimit -n)"));
    default: return about({Code::io, what});
  }
}

Error no_space_error(std::uint64_t need, std::uint64_t have, const std::filesystem::path& path) {
  return Error{Code::no_space, "not enough space on the disk"}
      .with("need", static_cast<std::int64_t>(need))
      .with("have", static_cast<std::int64_t>(have))
      .about(PublicText{path.string()})
      .fix("Free some space, or choose another folder with TACIT_HOME");
}

std::uint64_t free_bytes(const std::filesystem::path& path) noexcept {
  struct statvfs info{};
  if (::statvfs(path.c_str(), &info) != 0) return 0;
  return static_cast<std::uint64_t>(info.f_bavail) * info.f_frsize;
}

}  // namespace tacit::store
