// A GGUF file on disk, used in place by its path.
#pragma once

#include <filesystem>

#include "registry/registry.hpp"

namespace tacit::registry {

// may_be_loaded refuses a GGUF that is no whole model: no tensors, no architecture, one part of a
// split. Errors: malformed, unsupported.
Result<void> may_be_loaded(const formats::GgufFile& header);

// open_local_file validates a GGUF outside the store and opens it; its digest is computed. Name is
// the file's stem. Errors: not_found, permission, malformed (what is wrong), io.
Result<Registry::Opened> open_local_file(const std::filesystem::path& path);

// about_local_file words an engine's refusal of a model as one about that file: its path instead of
// the name it is served under, and a fix that does not speak of pulling.
Error about_local_file(Error error, const std::filesystem::path& path);

}  // namespace tacit::registry
