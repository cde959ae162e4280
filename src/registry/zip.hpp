// ZIP archives (PKWARE APPNOTE 6.3.10), as far as finding one file in a wheel needs: sans-I/O,
// bounded. Offsets and sizes are bytes from the start of the archive. ZIP64 is understood;
// encryption, several disks and methods other than stored and deflate are not.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.hpp"
#include "core/error.hpp"

namespace tacit::registry {

struct ZipLimits {
  std::uint64_t directory_bytes_max = 16ull * 1024 * 1024;
  std::uint64_t entries_max = 100'000;
};

// How many bytes from an archive's end zip_directory should be given: the end record with its
// longest comment, and the ZIP64 records before it.
inline constexpr std::uint64_t kZipTailBytes = 22 + 65'535 + 20 + 56;

// Where the central directory is.
struct ZipDirectory {
  std::uint64_t offset = 0;
  std::uint64_t size_bytes = 0;
  std::uint64_t num_entries = 0;
};

// zip_directory finds the central directory from the last bytes of an archive of `archive_bytes`.
// Errors: malformed ("not a ZIP archive"...), unsupported, too_large.
Result<ZipDirectory> zip_directory(BytesView tail, std::uint64_t archive_bytes,
                                   const ZipLimits& limits = {});

enum class ZipMethod : std::uint16_t { stored = 0, deflate = 8 };

struct ZipEntry {
  std::string name;
  ZipMethod method = ZipMethod::stored;
  std::uint64_t compressed_bytes = 0;
  std::uint64_t size_bytes = 0;
  std::uint64_t local_offset = 0;  // of the local header
};

// find_zip_entry reads a whole central directory (`bytes`, at directory.offset) and returns the
// entry with exactly this name. Every entry is checked, whichever is looked for: all lie before the
// directory, and the name is there once.
// Errors: not_found, malformed, unsupported (the entry is encrypted or of another method).
Result<ZipEntry> find_zip_entry(BytesView bytes, const ZipDirectory& directory,
                                std::string_view name);

inline constexpr std::uint64_t kZipLocalHeaderBytes = 30;

// zip_data_offset reads the fixed part of the local header of `entry` and returns where its data
// starts. Errors: malformed.
Result<std::uint64_t> zip_data_offset(BytesView local_header, const ZipEntry& entry,
                                      const ZipDirectory& directory);

// Receives bytes of the file; an error from it ends the reading and is passed on.
using ZipSink = std::function<Result<void>(BytesView)>;

// ZipExtractor turns the compressed bytes of one entry into the file's bytes, of which the first
// `skip` are dropped (they are there from an earlier attempt). Memory is bounded. Not thread-safe.
class ZipExtractor {
 public:
  ZipExtractor(ZipMethod method, std::uint64_t compressed_bytes, std::uint64_t size_bytes,
               std::uint64_t skip);
  ~ZipExtractor();
  ZipExtractor(ZipExtractor&&) noexcept;
  ZipExtractor& operator=(ZipExtractor&&) noexcept;

  // Takes up to all of `bytes` and returns how many belonged to the entry.
  // Errors: malformed (bad deflate data, more or fewer bytes than promised), and the sink's.
  Result<std::size_t> feed(BytesView bytes, const ZipSink& sink);
  bool done() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// ZipWalker finds one file in an archive that arrives from its first byte on, without the
// directory, and extracts it as ZipExtractor does. For servers that cannot send a part of a file.
class ZipWalker {
 public:
  ZipWalker(std::string name, std::uint64_t size_bytes, std::uint64_t skip);

  // Errors: not_found (the directory came first), malformed, unsupported (a file before it whose
  // end cannot be known), corrupt (the file has another size), and the sink's.
  Result<void> feed(BytesView bytes, const ZipSink& sink);
  // All of the file has arrived; what follows is of no interest.
  bool done() const noexcept { return extractor_ && extractor_->done(); }

 private:
  Result<void> take_header();

  std::string name_;
  std::uint64_t size_bytes_;
  std::uint64_t skip_;
  Bytes header_;               // of the current entry, as far as it has arrived
  std::uint64_t to_pass_ = 0;  // bytes of an uninteresting entry still to come
  std::unique_ptr<ZipExtractor> extractor_;
};

}  // namespace tacit::registry
