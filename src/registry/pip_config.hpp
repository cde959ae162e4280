// What pip's environment and configuration files say about the package index, so that a machine set
// up for pip is set up for Tacit (https://pip.pypa.io/en/stable/topics/configuration/).
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "core/error.hpp"
#include "registry/registry.hpp"

namespace tacit::registry {

// The environment, as the command line passes it on: nullopt for a variable that is not set.
using Getenv = std::function<std::optional<std::string>(const char* name)>;

struct PipSettings {
  std::string index_url;  // "" when nothing is said
  std::string ca_file;
  std::string proxy;
};

// parse_pip_config reads one file's text: what its sections [global] and [install] say, of which
// the latter has the higher rank. Never fails: pip's files may hold much that does not concern
// Tacit, and lines that make no sense are left out.
struct PipConfigText {
  PipSettings global;
  PipSettings install;
};
PipConfigText parse_pip_config(std::string_view text);

// pip_settings asks, in rising rank: pip's global, user and virtual environment's files, the one
// named by PIP_CONFIG_FILE (the null device there turns all files off), then PIP_INDEX_URL,
// PIP_CERT and PIP_PROXY. Files that are missing or cannot be read say nothing.
PipSettings pip_settings(const Getenv& variable);

// registry_options puts together what Registry::open needs: pip's settings, and the proxies of
// https_proxy, http_proxy, all_proxy and no_proxy (either case) where pip has none of its own.
Result<RegistryOptions> registry_options(std::filesystem::path models_root, const Getenv& variable);

}  // namespace tacit::registry
