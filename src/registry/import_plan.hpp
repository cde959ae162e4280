// What an import would bring in: one file, a folder of them, or another program's cache, in place.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "registry/model_store.hpp"
#include "registry/pip_config.hpp"

namespace tacit::registry {

struct ImportItem {
  std::filesystem::path file;
  ModelStore::ImportOptions options;
};

struct ImportPlan {
  std::vector<ImportItem> items;
  std::vector<std::string> skipped;  // what and why, in words
};

// locate_import turns "ollama" and "huggingface" into the folders where those keep models (their
// own variables, else the defaults) and anything else into a path. Errors: not_found.
Result<std::filesystem::path> locate_import(const std::string& source, const Getenv& variable);

// plan_import looks at a path and opens nothing large. Folders: Ollama's (manifests and blobs),
// Hugging Face's (models--*), else every *.gguf below, at most 8 levels deep. Files that a cache
// names by their digest must have it. Errors: not_found, malformed, too_large (10,000 files), io.
Result<ImportPlan> plan_import(const std::filesystem::path& path);

// A model's name for a file of a repository: "acme/tiny-gguf:q4_k_m" for "Acme/Tiny-GGUF" and
// "tiny-Q4_K_M.gguf". Without a repository "tiny-q4_k_m". Always a model name, or "".
std::string name_for_file(std::string_view repository, std::string_view file);

}  // namespace tacit::registry
