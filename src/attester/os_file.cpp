#include "attester/os_file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "core/unique_fd.hpp"

namespace tacit::attester {
namespace {

constexpr std::size_t kPieceBytes = 16 * 1024;

Error os_error(int number, const std::filesystem::path& path) {
  const auto about = [&](Code code, Literal what) {
    return Error{code, what}.about(PublicText{path.string()});
  };
  switch (number) {
    case ENOENT:
    case ENOTDIR: return about(Code::not_found, "no such file");
    case EACCES:
    case EPERM:
      return about(Code::permission, "the file may not be used")
          .fix("Run as a user that may, such as root");
    case EBUSY:
    case EAGAIN:
    case ETIMEDOUT: return about(Code::unavailable, "the hardware is busy");
    default: break;
  }
  return about(Code::io, "cannot use the file").with("errno", number);
}

}  // namespace

Result<Bytes> read_kernel_file(const std::filesystem::path& path, std::size_t size_max) {
  const UniqueFd file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (!file) return fail(os_error(errno, path));
  Bytes out;
  for (;;) {
    const auto before = out.size();
    out.resize(before + kPieceBytes);
    const auto n = ::read(file.get(), out.data() + before, kPieceBytes);
    if (n < 0 && errno == EINTR) {
      out.resize(before);
      continue;
    }
    if (n < 0) return fail(os_error(errno, path));
    out.resize(before + static_cast<std::size_t>(n));
    if (n == 0) return out;
    if (out.size() > size_max)
      return fail(Error{Code::too_large, "file of the kernel"}
                      .about(PublicText{path.string()})
                      .with("limit", static_cast<std::int64_t>(size_max)));
  }
}

Result<void> write_kernel_file(const std::filesystem::path& path, BytesView bytes) {
  const UniqueFd file{::open(path.c_str(), O_WRONLY | O_CLOEXEC)};
  if (!file) return fail(os_error(errno, path));
  const auto n = ::write(file.get(), bytes.data(), bytes.size());
  if (n < 0) return fail(os_error(errno, path));
  if (static_cast<std::size_t>(n) != bytes.size())
    return fail(Error{Code::io, "the file took only a part"}.about(PublicText{path.string()}));
  return {};
}

Bytes read_if_there(const std::filesystem::path& path, std::size_t size_max) {
  if (path.empty()) return {};
  auto bytes = read_kernel_file(path, size_max);
  return bytes ? *std::move(bytes) : Bytes{};
}

}  // namespace tacit::attester
