// What people do with the models on their disk: remove, tidy up, check, bring in.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "core/log.hpp"
#include "core/time.hpp"
#include "registry/manifest.hpp"
#include "registry/registry.hpp"
#include "registry/verification.hpp"
#include "store/blob_store.hpp"
#include "store/folder_lock.hpp"
#include "store/staged_blob.hpp"

namespace tacit::registry {

struct RemovedModel {
  std::string name;
  std::uint64_t bytes_freed = 0;
  std::size_t blobs_kept = 0;  // because other models have them, too
};

struct CollectedGarbage {
  std::size_t blobs = 0;      // that no model has
  std::size_t leftovers = 0;  // partial and temporary files of processes that are gone
  std::uint64_t bytes_freed = 0;
};

struct CheckedBlob {
  store::Digest digest;
  std::vector<std::string> models;  // that have it
  std::uint64_t size_bytes = 0;
  bool good = false;
  std::filesystem::path quarantined;  // where a bad one is now; empty if it could not be moved
};

struct StoreCheck {
  std::vector<CheckedBlob> blobs;
  std::vector<std::string> incomplete;  // models of which a blob is missing
  bool good() const;
};

struct ImportedModel {
  InstalledModel model;
  store::Placement placement = store::Placement::copy;
};

// ModelStore works on $TACIT_HOME/models beside other processes, whatever they are doing. Its
// functions block (they read whole models), so that they are not for event loops. Not thread-safe.
class ModelStore {
 public:
  using OnBytes = std::function<void(std::uint64_t done, std::uint64_t total)>;

  // `log` outlives it. Errors: permission, no_space, io, malformed (catalogue).
  static Result<ModelStore> open(const RegistryOptions& options, Logger& log);

  const std::filesystem::path& root() const noexcept { return root_; }
  store::BlobStore& blobs() noexcept { return *blobs_; }
  const ManifestFolder& manifests() const noexcept { return manifests_; }

  // The installed model that a name or an alias of the catalogue means. Errors: not_found.
  Result<InstalledModel> find(std::string_view name) const;

  // Takes the name away, then the blobs that no other model has. Killed in between, it leaves
  // blobs for collect_garbage(). A worker that has the weights open keeps them. Errors: not_found,
  // malformed (another manifest that cannot be read), permission, unavailable (lock), io.
  Result<RemovedModel> remove(std::string_view name);

  // Deletes blobs that no model has and that came before `before` (a pull may be about to name
  // them), and what dead processes left. With `dry`, only counts the blobs. Errors: as remove().
  Result<CollectedGarbage> collect_garbage(WallTime before, bool dry);

  // Hashes every blob, or those of `names`, on all cores, whatever is known of them already, and
  // moves those that differ to blobs/quarantine. Errors: not_found (a name), unavailable, io.
  Result<StoreCheck> check(const std::vector<std::string>& names, const OnBytes& on_bytes);

  struct ImportOptions {
    std::string name;  // "": the catalogue's for these bytes, else `proposed_name`
    std::string proposed_name;
    std::string license;  // "": what the file says
    std::string source;   // for the manifest
    std::string pinned_by = "user";
    std::string sha256;  // "": whatever comes; else the hex it must have
    bool may_link = true;
    bool replace = false;                           // a name that stands for other weights
    std::vector<std::filesystem::path> files = {};  // more blobs, with their roles in `roles`
    std::vector<std::string> roles = {};
  };
  // Installs a GGUF file that is on this machine. Errors: those of store::StagedBlob, malformed
  // (the file or the name), corrupt (another digest), already_exists (the name), unsupported.
  Result<ImportedModel> import_file(const std::filesystem::path& file, const ImportOptions& options,
                                    const OnBytes& on_bytes);

  // Writes the manifest of a model whose blobs came from elsewhere, hashed: they must be there, and
  // the weights such that they may be loaded. Takes the lock. `pinned_by` becomes "catalogue" when
  // that knows them. Errors: not_found (a blob), malformed, unsupported, already_exists (the name),
  // permission, no_space, unavailable, io.
  Result<InstalledModel> admit(InstalledModel model, bool replace);
  // Blobs whose bytes were all hashed on the way in need no second reading.
  void remember_verified(const store::Digest& digest) const;
  // The store's lock, shared, for adding blobs and the manifest that names them.
  Result<store::FolderLock> lock_shared() const;

 private:
  ModelStore(std::filesystem::path root, std::vector<CatalogueEntry> catalogue,
             std::unique_ptr<store::BlobStore> blobs, ManifestFolder manifests, const Clock* clock,
             Logger& log);
  const CatalogueEntry* entry_with(const store::Digest& digest) const;
  Result<InstalledModel> describe(const store::StagedBlob& staged,
                                  const ImportOptions& options) const;
  Result<void> install(const InstalledModel& model);
  Result<void> may_take_name(const InstalledModel& model, bool replace) const;
  std::int64_t unix_now() const;

  std::filesystem::path root_;
  std::vector<CatalogueEntry> catalogue_;
  std::unique_ptr<store::BlobStore> blobs_;
  ManifestFolder manifests_;
  VerificationCache verified_;
  const Clock* clock_;
  Logger* log_;
};

}  // namespace tacit::registry
