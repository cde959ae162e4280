// Pulling from a reference (hf:, ollama:, oci://, https://...): plan, pin, fetch, remember.
#pragma once

#include <string>

#include "cli/environment.hpp"
#include "cli/terminal.hpp"
#include "core/log.hpp"
#include "registry/registry.hpp"

namespace tacit::cli {

struct SourcePullOptions {
  std::string reference;
  std::string name;       // "": proposed by the source
  std::string lock_file;  // "": ./tacit.lock if it is there, else the one in $TACIT_HOME
  bool allow_unpinned = false;
  bool relock = false;  // take what the reference means today, whatever the lock file says
  bool replace = false;
  std::uint64_t bytes_per_second = 0;
  PullProgress::Style style = PullProgress::Style::quiet;
};

// Where the lock file is that `option` means (see above).
std::filesystem::path lock_path(const Environment& environment, const std::string& option);

// Installs what the reference means. What the lock file knows must come with the bytes that it
// names; what is new and not pinned by itself is asked about on a terminal and refused elsewhere
// unless allowed, and is in the lock file afterwards. Errors: those of registry::Planner and
// registry::Puller; forbidden (not pinned, not allowed).
Async<registry::InstalledModel> pull_from_source(const Environment& environment,
                                                 SourcePullOptions options, Logger& log);

}  // namespace tacit::cli
