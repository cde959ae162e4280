// Names of models: what is one, how it becomes a file name, which ones are near.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"

namespace tacit::registry {

// is_model_name accepts "family", "family:tag" and "owner/family:tag" of lower-case letters,
// digits,
// '.', '_' and '-', each part starting with a letter or digit; at most 128 bytes in all.
bool is_model_name(std::string_view name) noexcept;

// file_name_of turns a model name into a file name that cannot leave its folder: '/' and ':' become
// %2F and %3A. `name` must be a model name.
std::string file_name_of(std::string_view name);

// printable makes foreign text fit for an error: printable ASCII, shortened.
PublicText printable(std::string_view foreign);

// near_names returns up to three of `known` that are few typing mistakes away from `name`, or have
// it as a beginning; nearest first.
std::vector<std::string> near_names(std::string_view name, const std::vector<std::string>& known);

}  // namespace tacit::registry
