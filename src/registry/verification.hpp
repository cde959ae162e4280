// Are these the promised bytes? Hashing a model takes a moment, so the answer is remembered for as
// long as the file is the same: same device, inode, size, and times of change (which no user can
// set back: ctime is the kernel's).
#pragma once

#include <cstddef>
#include <filesystem>

#include "core/error.hpp"
#include "core/time.hpp"
#include "store/blob_store.hpp"

namespace tacit::registry {

// hash_file returns the SHA-256 of an open file, from its start; the file's offset is left alone.
// Errors: io.
Result<store::Digest> hash_file(int fd);

// VerificationCache is $models_root/verified. Thread-safe; safe for several processes. It is only
// ever a shortcut: where it cannot be written or read, files are hashed.
class VerificationCache {
 public:
  explicit VerificationCache(const std::filesystem::path& models_root)
      : folder_{models_root / "verified"} {}

  // Remembers that the open file was found to have this digest.
  void remember(const store::Digest& digest, int fd) const;
  // Whether that is known of exactly this file, unchanged since.
  bool knows(const store::Digest& digest, int fd) const;
  void forget(const store::Digest& digest) const noexcept;

  // Deletes what writes that were cut short before `before` have left; returns how many files.
  std::size_t remove_abandoned(WallTime before) const;

  // knows(), else hashes and remembers. Errors: corrupt, io.
  Result<void> verify(const store::Digest& digest, int fd) const;

 private:
  std::filesystem::path folder_;
};

}  // namespace tacit::registry
