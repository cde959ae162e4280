// The catalogue: models that Tacit knows by name, as data.
#pragma once

#include <string_view>
#include <vector>

#include "core/error.hpp"
#include "registry/registry.hpp"

namespace tacit::registry {

// builtin_catalogue is catalogue.json as compiled in.
std::string_view builtin_catalogue() noexcept;

// parse_catalogue is strict: every member known, of its type and in its range; names and aliases
// are model names and unique; every entry pinned to a digest and with at least one source. Errors:
// malformed (what, and in which entry), unsupported (another schema), too_large.
Result<std::vector<CatalogueEntry>> parse_catalogue(std::string_view json);

}  // namespace tacit::registry
