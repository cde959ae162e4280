// A file on its way into the blob store without passing through the network: shared with the
// original where the file system can, copied where it cannot.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string_view>

#include "core/error.hpp"
#include "core/unique_fd.hpp"
#include "store/blob_store.hpp"

namespace tacit::store {

// How a file came into the store.
enum class Placement : std::uint8_t {
  reflink,        // its own file that shares the disk blocks until one of the two is changed
  hard_link,      // another name of the same file
  copy,           // its own file
  already_there,  // the store had these bytes
};
std::string_view placement_name(Placement placement) noexcept;

struct StageOptions {
  bool may_link = true;                          // false: always a file of its own
  std::function<void(std::uint64_t)> on_hashed;  // bytes hashed so far
};

// StagedBlob is a file in <root>/blobs/partial whose digest is known. It is deleted with this
// object unless it was published. Movable; not thread-safe.
class StagedBlob {
 public:
  // Brings `source` (a regular file; symbolic links are followed) next to the blobs and hashes it
  // there, so that what was hashed is what gets published. A hard link is made only to a file of
  // the caller's own that nobody else may write. Errors: not_found, permission, unsupported (not a
  // regular file), no_space (path, need and have), corrupt (changed meanwhile), io.
  static Result<StagedBlob> from_file(BlobStore& store, const std::filesystem::path& source,
                                      const StageOptions& options);
  ~StagedBlob();
  StagedBlob(StagedBlob&& other) noexcept = default;
  StagedBlob& operator=(StagedBlob&&) = delete;

  const Digest& digest() const noexcept { return digest_; }
  std::uint64_t size_bytes() const noexcept { return size_bytes_; }
  Placement placement() const noexcept { return placement_; }
  int fd() const noexcept { return fd_.get(); }  // for reading

  // Makes the blob visible. Whoever also writes what refers to it holds the store's lock (shared)
  // over both. Errors: corrupt (changed since it was hashed), no_space, io.
  Result<void> publish(BlobStore& store);

 private:
  StagedBlob(UniqueFd fd, std::filesystem::path path, Digest digest, std::uint64_t size_bytes,
             Placement placement, std::uint64_t modified)
      : fd_{std::move(fd)},
        path_{std::move(path)},
        digest_{std::move(digest)},
        size_bytes_{size_bytes},
        placement_{placement},
        modified_{modified} {}

  UniqueFd fd_;  // carries the lock that says somebody is at it
  std::filesystem::path path_;
  Digest digest_;
  std::uint64_t size_bytes_;
  Placement placement_;
  std::uint64_t modified_;
};

// Whether `name` is one of a staged file, for the sweep of what dead processes left.
bool is_staged_name(std::string_view name) noexcept;

}  // namespace tacit::store
