#include "registry/verification.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>

#include "core/text.hpp"
#include "crypto/hash.hpp"
#include "store/file.hpp"

namespace tacit::registry {
namespace {

constexpr std::size_t kBlockBytes = 1024 * 1024;

// Everything that changes when the file or its bytes are exchanged, as one line.
std::string fingerprint(int fd) {
  struct stat info{};
  if (::fstat(fd, &info) != 0) return {};
  const auto time = [](const timespec& t) {
    return std::to_string(t.tv_sec) + "." + std::to_string(t.tv_nsec);
  };
  return "v1 dev=" + std::to_string(info.st_dev) + " ino=" + std::to_string(info.st_ino) +
         " size=" + std::to_string(info.st_size) + " mtime=" + time(info.st_mtim) +
         " ctime=" + time(info.st_ctim) + "\n";
}

}  // namespace

Result<store::Digest> hash_file(int fd) {
  ::posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
  crypto::Sha256 hash;
  Bytes block(kBlockBytes);
  off_t offset = 0;
  while (true) {
    const auto got = ::pread(fd, block.data(), block.size(), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(Error{Code::io, "cannot read the file"}.with("errno", errno));
    if (got == 0) return store::Digest::parse(to_hex(hash.finish()));
    hash.update(BytesView{block}.first(static_cast<std::size_t>(got)));
    offset += got;
  }
}

void VerificationCache::remember(const store::Digest& digest, int fd) const {
  // A shortcut lost is no failure: on a read-only store every load hashes.
  if (store::make_folders(folder_)) {
    static_cast<void>(
        store::write_file_atomically(folder_ / digest.hex(), as_bytes(fingerprint(fd))));
  }
}

bool VerificationCache::knows(const store::Digest& digest, int fd) const {
  const auto remembered = store::read_file(folder_ / digest.hex(), 4096);
  const auto now = fingerprint(fd);
  return remembered && !now.empty() && as_text(*remembered) == now;
}

void VerificationCache::forget(const store::Digest& digest) const noexcept {
  ::unlink((folder_ / digest.hex()).c_str());
}

std::size_t VerificationCache::remove_abandoned(WallTime before) const {
  return store::remove_temporaries(folder_, before);
}

Result<void> VerificationCache::verify(const store::Digest& digest, int fd) const {
  if (knows(digest, fd)) return {};
  // Taken before hashing: a change while the file is read must not be remembered as verified.
  const auto before = fingerprint(fd);
  TACIT_TRY(const auto found, hash_file(fd));
  if (found != digest) {
    forget(digest);
    return fail(Error{Code::corrupt, "the weights on disk are not what was verified"}.about(
        PublicText{digest.with_prefix()}));
  }
  if (before == fingerprint(fd)) remember(digest, fd);
  return {};
}

}  // namespace tacit::registry
