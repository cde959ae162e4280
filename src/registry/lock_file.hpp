// tacit.lock: what references meant when they were first seen, for a team to share.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"
#include "store/blob_store.hpp"

namespace tacit::registry {

struct LockEntry {
  std::string reference;  // as reference_text() has it
  std::string source;     // the exact one that was used
  std::string name;       // the model's
  store::Digest weights;
  std::uint64_t size_bytes = 0;
};

// LockFile is read whole and written whole; entries are in the order of their references, one per
// line, so that versions compare well.
class LockFile {
 public:
  // No file is no entries. Errors: malformed, unsupported (schema), too_large, permission, io.
  static Result<LockFile> read(const std::filesystem::path& path);
  static Result<LockFile> parse(std::string_view json);
  std::string text() const;

  const LockEntry* find(std::string_view reference) const noexcept;
  const std::vector<LockEntry>& entries() const noexcept { return entries_; }
  void put(LockEntry entry);
  // Errors: permission, no_space, not_found (the folder), io.
  Result<void> write(const std::filesystem::path& path) const;

 private:
  std::vector<LockEntry> entries_;
};

}  // namespace tacit::registry
