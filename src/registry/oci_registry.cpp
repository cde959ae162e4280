// Registries that speak OCI's distribution protocol, Ollama's among them. Part of
// registry/pull_plan.hpp.
#include <algorithm>
#include <utility>

#include "core/text.hpp"
#include "crypto/hash.hpp"
#include "registry/import_plan.hpp"
#include "registry/json.hpp"
#include "registry/name.hpp"
#include "registry/oci_manifest.hpp"
#include "registry/pull_plan.hpp"
#include "registry/url.hpp"

namespace tacit::registry {
namespace {

constexpr std::size_t kTokenBytesMax = 1024 * 1024;
constexpr std::uint64_t kExtraBytesMax = 4ull * 1024 * 1024 * 1024;  // projectors are large
constexpr const char* kAcceptManifests =
    "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, "
    "application/vnd.docker.distribution.manifest.v2+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json";

bool is_loopback(std::string_view host) {
  host = host.substr(0, host.rfind(':'));
  return host == "localhost" || host == "127.0.0.1";
}

std::string query_encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~' || c == '/' || c == ':';
    if (plain)
      out += c;
    else
      out.append("%").append(to_hex(as_bytes({&c, 1})));
  }
  return out;
}

// Which layers make the model: one with weights, and what belongs to it.
Result<std::vector<const OciLayer*>> choose_layers(const OciManifest& manifest,
                                                   std::string_view pattern) {
  std::vector<const OciLayer*> weights;
  std::vector<const OciLayer*> more;
  for (const auto& layer : manifest.layers) {
    const auto role = layer_role(layer);
    if (role == "adapter") return fail(Code::unsupported, "the model has an adapter");
    if (role == "weights" && matches_pattern(pattern, layer.title))
      weights.push_back(&layer);
    else if (!role.empty() && role != "weights" && layer.size_bytes <= kExtraBytesMax)
      more.push_back(&layer);
  }
  if (weights.empty()) {
    return fail(Error{Code::not_found, "the artifact has no such GGUF layer"}.with(
        "layers", static_cast<std::int64_t>(manifest.layers.size())));
  }
  if (weights.size() > 1) {
    std::string names;
    for (const auto* layer : weights) names += (names.empty() ? "" : ", ") + layer->title;
    return fail(Error{Code::invalid_argument, "several GGUF layers fit"}
                    .about(PublicText{names})
                    .fix("Name one of them: oci://host/repository:tag#file.gguf"));
  }
  weights.insert(weights.end(), more.begin(), more.end());
  return weights;
}

}  // namespace

std::map<std::string, std::string> bearer_challenge(std::string_view header) {
  constexpr std::string_view scheme = "bearer ";
  std::map<std::string, std::string> out;
  header = trim_ascii(header);
  if (header.size() < scheme.size() || !iequals_ascii(header.substr(0, scheme.size()), scheme))
    return out;
  header.remove_prefix(scheme.size());
  while (!header.empty()) {
    const auto equal = header.find('=');
    if (equal == std::string_view::npos) return {};
    const auto name = to_lower_ascii(trim_ascii(header.substr(0, equal)));
    header = trim_ascii(header.substr(equal + 1));
    std::string_view value;
    if (header.starts_with('"')) {
      const auto end = header.find('"', 1);
      if (end == std::string_view::npos) return {};
      value = header.substr(1, end - 1);
      header.remove_prefix(end + 1);
    } else {
      value = header.substr(0, header.find(','));
      header.remove_prefix(value.size());
    }
    out[name] = std::string{value};
    header = trim_ascii(header);
    if (header.starts_with(',')) header = trim_ascii(header.substr(1));
  }
  return out;
}

// A token for reading one repository, as the registry's 401 says where to get it.
Async<std::string> Planner::bearer(const Repository& repository, std::string challenge,
                                   Deadline deadline) {
  if (challenge.size() >= 5 && iequals_ascii(std::string_view{challenge}.substr(0, 5), "basic") &&
      !repository.login.empty()) {
    co_return "Basic " + repository.login;
  }
  const auto parts = bearer_challenge(challenge);
  const auto realm = parts.find("realm");
  if (realm == parts.end() || origin_of(realm->second).empty()) {
    co_return fail(status_error(401).about(printable(host_of(repository.base))));
  }
  // A login goes nowhere in the clear. Whose token service it is, the registry decides: it is its
  // login.
  const bool secure = realm->second.starts_with("https://") || is_loopback(host_of(realm->second));
  auto url = realm->second;
  char separator = url.find('?') == std::string::npos ? '?' : '&';
  for (const auto* name : {"service", "scope"}) {
    const auto found = parts.find(name);
    if (found == parts.end()) continue;
    url += separator + std::string{name} + "=" + query_encoded(found->second);
    separator = '&';
  }
  const auto login = repository.login.empty() || !secure ? "" : "Basic " + repository.login;
  TACIT_CO_TRY(const auto answer, co_await get(url, "application/json", login, "", deadline));
  if (answer.status != 200) {
    co_return fail(
        status_error(answer.status == 200 ? 401 : answer.status).about(printable(host_of(url))));
  }
  TACIT_CO_TRY(const auto document, parse_json(as_text(answer.body), kTokenBytesMax));
  const auto* object = document.if_object();
  for (const auto* name : {"token", "access_token"}) {
    const auto* token = object != nullptr ? object->if_contains(name) : nullptr;
    if (token == nullptr || !token->is_string()) continue;
    const std::string_view text{token->get_string()};
    const bool plain =
        !text.empty() && std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~'; });
    if (plain) co_return "Bearer " + std::string{text};
  }
  co_return fail(Code::malformed, "the registry's token service gave no token");
}

Async<Bytes> Planner::manifest(Repository& repository, std::string which, Deadline deadline) {
  const auto url = repository.base + "/v2/" + repository.path + "/manifests/" + which;
  for (int attempt = 0;; ++attempt) {
    TACIT_CO_TRY(auto answer,
                 co_await get(url, kAcceptManifests, repository.authorization, "", deadline));
    if (answer.status == 401 && attempt == 0) {
      TACIT_CO_TRY(
          repository.authorization,
          co_await bearer(repository,
                          std::string{answer.headers.find("www-authenticate").value_or("")},
                          deadline));
      continue;
    }
    if (answer.status != 200) {
      co_return fail(status_error(answer.status)
                         .about(printable(repository.path + " at " + host_of(repository.base))));
    }
    constexpr std::string_view kSha256 = "sha256:";
    if (which.starts_with(kSha256) &&
        crypto::sha256_hex(answer.body) != which.substr(kSha256.size())) {
      co_return fail(
          Error{Code::corrupt, "the registry's manifest does not have the digest asked for"}.about(
              printable(repository.path)));
    }
    co_return std::move(answer.body);
  }
}

Async<PullPlan> Planner::oci(OciReference reference, Deadline deadline) {
  Repository repository;
  repository.base = (is_loopback(reference.host) ? "http://" : "https://") + reference.host;
  repository.path = reference.repository;
  if (const auto login = settings_.oci_logins.find(reference.host);
      login != settings_.oci_logins.end()) {
    repository.login = login->second;
  }
  auto which = reference.digest.empty() ? reference.tag : reference.digest;
  TACIT_CO_TRY(auto body, co_await manifest(repository, which, deadline));
  auto digest = "sha256:" + crypto::sha256_hex(body);
  TACIT_CO_TRY(auto parsed, parse_oci_manifest(as_text(body)));
  if (parsed.layers.empty() && !parsed.manifests.empty()) {
    digest = parsed.manifests.front().digest.with_prefix();
    TACIT_CO_TRY(body, co_await manifest(repository, digest, deadline));
    TACIT_CO_TRY(parsed, parse_oci_manifest(as_text(body)));
  }
  TACIT_CO_TRY(const auto layers, choose_layers(parsed, reference.file));
  PullPlan plan;
  plan.pinned = !reference.digest.empty();
  plan.source = reference_text(
      OciReference{reference.host, reference.repository, "", digest, reference.file});
  const auto slash = reference.repository.rfind('/');
  const auto last = reference.repository.substr(slash == std::string::npos ? 0 : slash + 1);
  plan.name = name_for_file(last, reference.tag.empty() ? "latest.gguf" : reference.tag + ".gguf");
  for (const auto* layer : layers) {
    plan.files.push_back(
        {std::string{layer_role(*layer)},
         layer->digest,
         layer->size_bytes,
         {{repository.base + "/v2/" + repository.path + "/blobs/" + layer->digest.with_prefix(),
           repository.authorization}}});
  }
  co_return plan;
}

Async<PullPlan> Planner::ollama(OllamaReference reference, Deadline deadline) {
  Repository repository;
  repository.base = settings_.ollama_registry;
  repository.path = reference.repository;
  TACIT_CO_TRY(const auto body, co_await manifest(repository, reference.tag, deadline));
  TACIT_CO_TRY(const auto parsed, parse_oci_manifest(as_text(body)));
  TACIT_CO_TRY(const auto layers, choose_layers(parsed, ""));
  PullPlan plan;
  plan.source = reference_text(reference);
  constexpr std::string_view kLibrary = "library/";
  const auto name = reference.repository.starts_with(kLibrary)
                        ? reference.repository.substr(kLibrary.size())
                        : reference.repository;
  plan.name = to_lower_ascii(name + ":" + reference.tag);
  for (const auto* layer : layers) {
    plan.files.push_back(
        {std::string{layer_role(*layer)},
         layer->digest,
         layer->size_bytes,
         {{repository.base + "/v2/" + repository.path + "/blobs/" + layer->digest.with_prefix(),
           repository.authorization}}});
  }
  co_return plan;
}

}  // namespace tacit::registry
