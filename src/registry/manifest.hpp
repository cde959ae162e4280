// Manifests: what is installed under which name. One small JSON file each, written atomically.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/log.hpp"
#include "core/time.hpp"
#include "registry/registry.hpp"

namespace tacit::registry {

inline constexpr std::size_t kManifestBytesMax = 64 * 1024;

std::string manifest_json(const InstalledModel& model);
// Errors: malformed, unsupported (another schema).
Result<InstalledModel> parse_manifest(std::string_view json);

// ManifestFolder is $models_root/manifests. Thread-safe; safe for several processes.
class ManifestFolder {
 public:
  // Makes the folder when missing. Errors: permission, io.
  static Result<ManifestFolder> open(const std::filesystem::path& models_root);

  // Errors: permission, no_space, io.
  Result<void> write(const InstalledModel& model) const;
  // Errors: not_found, malformed (also when the file is about another name), permission, io.
  Result<InstalledModel> read(std::string_view name) const;
  // Errors: not_found, permission, io.
  Result<void> remove(std::string_view name) const;
  // Every manifest, by name. Errors: malformed (one that cannot be read, named: what it refers to
  // is unknown, so that nothing may be deleted), io.
  Result<std::vector<InstalledModel>> all() const;
  // All that can be read, by name; the others are logged.
  std::vector<InstalledModel> list(Logger& log) const;
  // Deletes what writes that were cut short before `before` have left; returns how many files.
  std::size_t remove_abandoned(WallTime before) const;

 private:
  explicit ManifestFolder(std::filesystem::path folder) : folder_{std::move(folder)} {}
  std::filesystem::path path_of(std::string_view name) const;
  std::filesystem::path folder_;
};

}  // namespace tacit::registry
