// What went wrong with a load, as an error of ours, from what llama.cpp prints about it.
#pragma once

#include <optional>
#include <string_view>

#include "core/error.hpp"

namespace tacit::engine {

// classify_load_message maps one line of llama.cpp's log to an error; nullopt for lines that say
// nothing of use. The line itself (it holds text of the model file) goes no further.
std::optional<Error> classify_load_message(std::string_view line) noexcept;

}  // namespace tacit::engine
