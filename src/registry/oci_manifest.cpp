#include "registry/oci_manifest.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "core/text.hpp"
#include "registry/json.hpp"
#include "registry/name.hpp"

namespace tacit::registry {
namespace json = boost::json;
namespace {

constexpr std::size_t kLayersMax = 4096;
constexpr std::size_t kTextBytesMax = 512;

std::string text_member(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  const auto* text = value != nullptr ? value->if_string() : nullptr;
  if (text == nullptr || text->size() > kTextBytesMax) return {};
  return std::ranges::all_of(*text, [](char c) { return c >= ' ' && c <= '~'; })
             ? std::string{std::string_view{*text}}
             : std::string{};
}

std::string title_of(const json::object& layer) {
  const auto* annotations = layer.if_contains("annotations");
  const auto* object = annotations != nullptr ? annotations->if_object() : nullptr;
  if (object == nullptr) return {};
  for (const auto* name : {"org.cncf.model.filepath", "org.opencontainers.image.title"}) {
    if (auto title = text_member(*object, name); !title.empty()) return title;
  }
  return {};
}

Result<OciLayer> parse_layer(const json::value& value) {
  const auto* object = value.if_object();
  if (object == nullptr) return fail(Code::malformed, "a layer of the manifest is not an object");
  const auto digest_text = text_member(*object, "digest");
  if (!digest_text.starts_with("sha256:")) {
    return fail(Code::unsupported, "a layer of the manifest has no SHA-256 digest");
  }
  TACIT_TRY(auto digest, store::Digest::parse(digest_text));
  const auto* size = object->if_contains("size");
  std::int64_t bytes = -1;
  if (size != nullptr && size->is_int64()) bytes = size->get_int64();
  if (bytes < 0) return fail(Code::malformed, "a layer of the manifest has no sensible size");
  return OciLayer{text_member(*object, "mediaType"), std::move(digest),
                  static_cast<std::uint64_t>(bytes), title_of(*object)};
}

Result<std::vector<OciLayer>> parse_layers(const json::value& value) {
  const auto* array = value.if_array();
  if (array == nullptr) return fail(Code::malformed, "the manifest's layers are not a list");
  if (array->size() > kLayersMax) {
    return fail(Error{Code::too_large, "too many layers"}.with("limit", kLayersMax));
  }
  std::vector<OciLayer> layers;
  for (const auto& item : *array) {
    TACIT_TRY(auto layer, parse_layer(item));
    layers.push_back(std::move(layer));
  }
  return layers;
}

struct RoleOfType {
  std::string_view media_type;
  std::string_view role;
};
constexpr std::array kRoles{
    RoleOfType{"application/vnd.ollama.image.model", "weights"},
    RoleOfType{"application/vnd.ollama.image.license", "license"},
    RoleOfType{"application/vnd.ollama.image.template", "template"},
    RoleOfType{"application/vnd.ollama.image.system", "system"},
    RoleOfType{"application/vnd.ollama.image.params", "params"},
    RoleOfType{"application/vnd.ollama.image.projector", "projector"},
    RoleOfType{"application/vnd.ollama.image.adapter", "adapter"},
    RoleOfType{"application/vnd.docker.ai.gguf.v3", "weights"},
    RoleOfType{"application/vnd.docker.ai.license", "license"},
};

}  // namespace

Result<OciManifest> parse_oci_manifest(std::string_view text) {
  TACIT_TRY(const auto document, parse_json(text, kOciManifestBytesMax));
  const auto* object = document.if_object();
  if (object == nullptr) return fail(Code::malformed, "the manifest is not an object");
  OciManifest manifest;
  manifest.artifact_type = text_member(*object, "artifactType");
  if (const auto* layers = object->if_contains("layers"); layers != nullptr) {
    TACIT_TRY(manifest.layers, parse_layers(*layers));
  } else if (const auto* manifests = object->if_contains("manifests"); manifests != nullptr) {
    TACIT_TRY(manifest.manifests, parse_layers(*manifests));
  } else {
    return fail(Code::malformed, "the manifest has no layers");
  }
  return manifest;
}

std::string_view layer_role(const OciLayer& layer) {
  const auto found = std::ranges::find(kRoles, layer.media_type, &RoleOfType::media_type);
  if (found != kRoles.end()) return found->role;
  const auto title = to_lower_ascii(layer.title);
  if (title.ends_with(".gguf")) return "weights";
  if (title.ends_with("license") || title.ends_with("license.txt")) return "license";
  return "";
}

}  // namespace tacit::registry
