// Bundles: models with everything that belongs to them in one file, for machines without network.
// A ustar archive: "tacit-bundle.json" (the manifests, and which blobs follow), then one
// "blobs/sha256/<hex>" each.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "registry/model_store.hpp"

namespace tacit::registry {

struct BundleIndex {
  struct Blob {
    store::Digest digest;
    std::uint64_t size_bytes = 0;
  };
  std::vector<InstalledModel> models;
  std::vector<Blob> blobs;  // in the order of the archive, no digest twice
};

// parse_bundle_index is strict: every blob belongs to a model and every blob of a model is there.
// Errors: malformed, too_large, unsupported (schema).
Result<BundleIndex> parse_bundle_index(std::string_view json);
std::string bundle_index_json(const BundleIndex& index);

// Whether the file begins as a bundle does.
bool is_bundle(const std::filesystem::path& file);

// export_bundle writes the installed models to `output`, replacing it in one step, and hashes all
// bytes on the way. The same models give the same file. Returns its size. Errors: not_found
// (model), corrupt (a blob; check the store), no_space (path, need and have), permission, io.
Result<std::uint64_t> export_bundle(ModelStore& store, const std::vector<std::string>& names,
                                    const std::filesystem::path& output,
                                    const ModelStore::OnBytes& on_bytes);

// import_bundle installs what a bundle holds. Nothing in it is believed: every blob is hashed, and
// what it says of its own pinning is replaced by "bundle" (or "catalogue" where the catalogue knows
// the weights). Killed, it goes on where it was. Errors: malformed, corrupt, already_exists (a
// name), no_space, unavailable (another process writes the same blob), permission, io.
Result<std::vector<InstalledModel>> import_bundle(ModelStore& store,
                                                  const std::filesystem::path& file, bool replace,
                                                  const ModelStore::OnBytes& on_bytes);

}  // namespace tacit::registry
