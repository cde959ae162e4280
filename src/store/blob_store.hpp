// Content-addressed files under one folder: <root>/blobs/sha256/<hex>. A blob is visible only once
// its bytes have the digest of its name: until then they are in <root>/blobs/partial/<hex>, where
// the writer holds a lock that the kernel drops with it, however it ends.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.hpp"
#include "core/error.hpp"
#include "core/time.hpp"
#include "core/unique_fd.hpp"
#include "store/file.hpp"

namespace tacit::store {

// Digest of a blob as text: 64 lower-case hex digits. parse() is the only way in for foreign text,
// so a Digest can be used in a path.
class Digest {
 public:
  // Accepts "<hex>" and "sha256:<hex>". Errors: malformed.
  static Result<Digest> parse(std::string_view text);
  const std::string& hex() const noexcept { return hex_; }
  std::string with_prefix() const { return "sha256:" + hex_; }
  bool operator==(const Digest&) const = default;

 private:
  explicit Digest(std::string hex) : hex_{std::move(hex)} {}
  std::string hex_;
};

// BlobWriter receives the bytes of one blob; hashing goes along. Destroying it without commit()
// leaves the partial file for a later resume (see BlobStore::resume). Not thread-safe.
class BlobWriter {
 public:
  virtual ~BlobWriter() = default;
  // Bytes already there when the writer was made by resume(); the next append() continues after
  // them.
  virtual std::uint64_t offset() const = 0;
  // Errors: no_space (path, need and have named; what fitted is kept, so that a later attempt goes
  // on from there), corrupt (more bytes than promised), io.
  virtual Result<void> append(BytesView bytes) = 0;
  // Checks size and digest, syncs, and makes the blob visible. On a mismatch the partial file is
  // deleted. Errors: corrupt (what differs), no_space, io.
  virtual Result<void> commit() = 0;
  // Throws the partial file away. Only destroying the writer is useful afterwards.
  virtual void discard() noexcept = 0;
};

// BlobStore is safe for use by several processes at once. Thread-safe.
class BlobStore {
 public:
  // Makes the folders when missing. Errors: permission, io, no_space.
  static Result<std::unique_ptr<BlobStore>> open(const std::filesystem::path& root);
  virtual ~BlobStore() = default;

  virtual bool contains(const Digest& digest) const = 0;
  // Where the blob is or would be.
  virtual std::filesystem::path path(const Digest& digest) const = 0;
  // Opens a blob for reading. Errors: not_found, permission, io.
  virtual Result<UniqueFd> open_blob(const Digest& digest) const = 0;
  // A writer for a blob of known digest and size; continues a partial file of an earlier attempt
  // (its bytes are hashed again first). One writer per blob at a time, over all processes.
  // Errors: already_exists (blob is there), unavailable (another process writes it), no_space
  // (checked up front against free space), io.
  virtual Result<std::unique_ptr<BlobWriter>> resume(const Digest& digest,
                                                     std::uint64_t size_bytes) = 0;
  // How much of a blob under way is on disk, by whichever process; 0 when none is.
  virtual std::uint64_t partial_bytes(const Digest& digest) const = 0;
  // Errors: not_found, permission, io.
  virtual Result<void> remove(const Digest& digest) = 0;
  virtual Result<std::vector<Digest>> list() const = 0;
  // Deletes what writers that died have left, but the partial file of `keep`, if it was last
  // written before `before`. Returns how many files (see store/abandoned.hpp).
  virtual std::size_t remove_abandoned(WallTime before, const Digest& keep) = 0;
  // The same without an exception.
  virtual std::size_t remove_abandoned(WallTime before) = 0;
  // Moves a blob whose bytes are wrong out of everybody's way, to <root>/blobs/quarantine, and
  // returns where it is now. Errors: not_found, permission, no_space, io.
  virtual Result<std::filesystem::path> quarantine(const Digest& digest) = 0;
  // Where files that will be renamed into blobs are made (store/staged_blob.hpp).
  virtual std::filesystem::path staging_folder() const = 0;
};

}  // namespace tacit::store
