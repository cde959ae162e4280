// Which servers are known, by the fingerprint of their identity: pinned at first use, as SSH does.
// The file has a line for each: URL, blank, fingerprint. Thread-safe within one process; a write
// replaces the file in one step.
#pragma once

#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"

namespace tacit::connect {

class KnownServers {
 public:
  explicit KnownServers(std::filesystem::path file) : file_{std::move(file)} {}

  // The fingerprint pinned for `url`. Errors: malformed (the file), permission, io.
  Result<std::optional<std::string>> find(std::string_view url) const;
  // Pins it, in place of what was pinned. Errors: as find, no_space.
  Result<void> pin(std::string_view url, std::string_view fingerprint);
  // Errors: not_found.
  Result<void> forget(std::string_view url);

  const std::filesystem::path& file() const noexcept { return file_; }

 private:
  struct Entry {
    std::string url;
    std::string fingerprint;
  };
  Result<std::vector<Entry>> read() const;
  Result<void> write(const std::vector<Entry>& entries);

  const std::filesystem::path file_;
  mutable std::mutex mutex_;
};

}  // namespace tacit::connect
