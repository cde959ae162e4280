// Image manifests of registries (OCI image spec 1.1, Docker's schema 2, Ollama's use of it).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"
#include "store/blob_store.hpp"

namespace tacit::registry {

inline constexpr std::size_t kOciManifestBytesMax = 4 * 1024 * 1024;

struct OciLayer {
  std::string media_type;
  store::Digest digest;
  std::uint64_t size_bytes = 0;
  std::string title;  // org.opencontainers.image.title or the like; "" when there is none
};

struct OciManifest {
  std::string artifact_type;
  std::vector<OciLayer> layers;
  // Of an index instead of a manifest: the manifests it lists, in order. Then there are no layers.
  std::vector<OciLayer> manifests;
};

// parse_oci_manifest reads what it needs and ignores other members, as the specification wants.
// Errors: malformed, unsupported (digests other than SHA-256), too_large.
Result<OciManifest> parse_oci_manifest(std::string_view json);

// What a layer is to a model, by its media type and title: "weights" (GGUF), "license", "template",
// "system", "params", "projector", "adapter"; "" for anything else.
std::string_view layer_role(const OciLayer& layer);

}  // namespace tacit::registry
