// A reference resolved: which bytes, how many, from where. Made by asking the source; nothing large
// is fetched for it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "async/async.hpp"
#include "http/client.hpp"
#include "registry/pip_config.hpp"
#include "registry/range_download.hpp"
#include "registry/reference.hpp"
#include "store/blob_store.hpp"

namespace tacit::registry {

// What the user's environment says about sources.
struct SourceSettings {
  std::vector<std::string> hf_endpoints;  // tried in order; never empty
  std::string hf_token;
  std::string ollama_registry;
  std::map<std::string, std::string> oci_logins;  // host to base64 of "user:password"
};

// source_settings reads HF_ENDPOINT (a list with commas names mirrors), HF_TOKEN and the file that
// `hf auth login` writes, TACIT_OLLAMA_REGISTRY, and the logins in Docker's config.json. What is
// missing or damaged says nothing.
SourceSettings source_settings(const Getenv& variable);

struct PlannedFile {
  std::string role;  // "weights" first, then what belongs to them
  std::optional<store::Digest>
      digest;  // what the source promises; nullopt when it promises nothing
  std::uint64_t size_bytes = 0;
  std::vector<RemoteFile> mirrors;
};

struct PullPlan {
  std::string source;   // reference that names exactly this, as far as the source has such names
  std::string name;     // proposed
  std::string license;  // SPDX name, "" when the source does not say
  // Whether the reference can only ever mean these bytes: a commit, a digest. Otherwise it means
  // something else as soon as its publisher wants.
  bool pinned = false;
  std::vector<PlannedFile> files;
};

// Planner asks sources. Belongs to the shard of `client`.
class Planner {
 public:
  // All outlive it.
  Planner(http::Client& client, const SourceSettings& settings, const TransferLimits& limits)
      : client_{client}, settings_{settings}, limits_{limits} {}

  // Errors: not_found (with what there is), forbidden, unavailable, malformed, unsupported,
  // invalid_argument (several files fit), corrupt (a manifest with another digest), cancelled.
  Async<PullPlan> plan(Reference reference, Deadline deadline);

 private:
  struct Answer {
    int status = 0;
    http::Headers headers;
    Bytes body;
    std::string url;
  };
  Async<Answer> get(std::string url, std::string accept, std::string authorization,
                    std::string range, Deadline deadline);
  Async<Answer> get_once(const std::string& url, const std::string& accept,
                         const std::string& authorization, const std::string& range,
                         Deadline deadline);
  Async<PullPlan> hugging_face(HuggingFaceReference reference, Deadline deadline);
  Async<PullPlan> hugging_face_at(std::string endpoint, HuggingFaceReference reference,
                                  Deadline deadline);
  Async<PullPlan> http(HttpReference reference, Deadline deadline);
  // The two kinds of registry differ in addresses and names only.
  struct Repository {
    std::string base;  // "https://host"
    std::string path;  // "acme/tiny"
    std::string login;
    std::string authorization;  // once asked for
  };
  Async<PullPlan> ollama(OllamaReference reference, Deadline deadline);
  Async<PullPlan> oci(OciReference reference, Deadline deadline);
  Async<Bytes> manifest(Repository& repository, std::string which, Deadline deadline);
  Async<std::string> bearer(const Repository& repository, std::string challenge, Deadline deadline);

  http::Client& client_;
  const SourceSettings& settings_;
  const TransferLimits& limits_;
};

// The parts of "Bearer realm=...,service=...,scope=..." (RFC 9110 section 11.6.1) by lower-case
// name; empty when it is another scheme or damaged.
std::map<std::string, std::string> bearer_challenge(std::string_view header);

// What Hugging Face's listing says about one file.
struct HubFile {
  std::string path;
  std::uint64_t size_bytes = 0;
  std::optional<store::Digest> sha256;  // of files in Git LFS
};
// Errors: malformed, too_large.
Result<std::vector<HubFile>> parse_hub_tree(std::string_view json);
// The one GGUF that `pattern` means. Errors: not_found, invalid_argument (several), unsupported (a
// split model).
Result<HubFile> choose_hub_file(const std::vector<HubFile>& files, std::string_view pattern);

}  // namespace tacit::registry
