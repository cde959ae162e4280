// What commands share about models: opening the registry and making sure that a model is there.
#pragma once

#include <memory>
#include <string>

#include "cli/environment.hpp"
#include "cli/terminal.hpp"
#include "core/log.hpp"
#include "registry/model_store.hpp"
#include "registry/registry.hpp"

namespace tacit::cli {

// Opens $TACIT_HOME/models with the HTTP and index settings of the environment.
Result<std::unique_ptr<registry::Registry>> open_registry(const Environment& environment,
                                                          Logger& log);

// Opens the same folder for what needs no network: removing, checking, importing.
Result<registry::ModelStore> open_store(const Environment& environment, Logger& log);

// A name that is a path to a GGUF file: ends in .gguf, or has a slash and exists.
bool is_model_path(const std::string& name);

// Resolves `name` and pulls it when it is not installed, showing progress. Returns the canonical
// name.
Async<std::string> ensure_installed(registry::Registry& registry, std::string name,
                                    PullProgress::Style style);

}  // namespace tacit::cli
