// Whole files, read and replaced in one step. Functions are thread-safe.
#pragma once

#include <cstdint>
#include <filesystem>

#include "core/bytes.hpp"
#include "core/error.hpp"
#include "core/time.hpp"

namespace tacit::store {

// write_file_atomically replaces `path` with `bytes`: a reader, and whoever comes after a crash,
// sees the old file or the new one, never a mixture (temporary file in the same folder, fsync,
// rename, fsync of the folder). `mode` is the file's permission bits, whatever the umask. Errors:
// permission, no_space, not_found (the folder), io.
Result<void> write_file_atomically(const std::filesystem::path& path, BytesView bytes,
                                   unsigned mode = 0644);

// remove_temporaries deletes the temporary files of write_file_atomically() in `folder` that were
// last written before `before` and whose writers are gone. Returns how many (store/abandoned.hpp).
std::size_t remove_temporaries(const std::filesystem::path& folder, WallTime before);

// read_file reads a whole file of at most `size_max` bytes.
// Errors: not_found, permission, too_large, io.
Result<Bytes> read_file(const std::filesystem::path& path, std::uint64_t size_max);

// make_folders creates `path` and its parents as far as they are missing.
// Errors: permission, no_space, io.
Result<void> make_folders(const std::filesystem::path& path, unsigned mode = 0755);

// sync_folder makes renames and removals in `path` durable. Errors: io.
Result<void> sync_folder(const std::filesystem::path& path);

}  // namespace tacit::store
