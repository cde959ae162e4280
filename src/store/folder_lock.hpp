// One lock for a folder that several processes change: many may add to it, one may take away.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

#include "core/error.hpp"
#include "core/time.hpp"
#include "core/unique_fd.hpp"

namespace tacit::store {

// FolderLock is held until it dies. The kernel drops it with the process, however that ends.
class FolderLock {
 public:
  enum class Kind : std::uint8_t { shared, exclusive };

  // The lock on <folder>/lock if it can be had at once, nullopt when another process has it.
  // Errors: permission, no_space, not_found (the folder), io.
  static Result<std::optional<FolderLock>> try_take(const std::filesystem::path& folder, Kind kind);
  // The same, waiting; it blocks its thread, so that it is not for event loops. Errors also:
  // unavailable (others had it until the deadline).
  static Result<FolderLock> take(const std::filesystem::path& folder, Kind kind, Deadline deadline);

 private:
  explicit FolderLock(UniqueFd fd) : fd_{std::move(fd)} {}
  UniqueFd fd_;
};

}  // namespace tacit::store
