// What people write to say where a model is: hf:, ollama:, oci://, https://, file:, pypi:.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "core/error.hpp"

namespace tacit::registry {

struct HuggingFaceReference {
  std::string repository;  // "org/repo"
  std::string revision;    // "main" when nothing is said
  std::string file;        // a path, a pattern with '*' and '?', or a quantisation; "" for any
};
struct OllamaReference {
  std::string repository;  // "library/llama3"
  std::string tag;         // "latest" when nothing is said
};
struct OciReference {
  std::string host;        // "ghcr.io", "localhost:5000"
  std::string repository;  // "acme/tiny"
  std::string tag;         // "latest" when nothing is said; "" with a digest
  std::string digest;      // "sha256:..." or ""
  std::string file;        // a layer's title or pattern; "" for any
};
struct HttpReference {
  std::string url;     // without its fragment
  std::string sha256;  // hex of "#sha256=...", or ""
};
struct FileReference {
  std::string path;
};
struct PypiReference {
  std::string package;
  std::string version;
  std::string file;
};
using Reference = std::variant<HuggingFaceReference, OllamaReference, OciReference, HttpReference,
                               FileReference, PypiReference>;

// Whether `text` begins as a reference does; anything else is a name of the catalogue.
bool is_reference(std::string_view text) noexcept;

// parse_reference is strict about what ends up in an address: no control characters, no "..", no
// user info. Errors: malformed (what, with an example as the fix).
Result<Reference> parse_reference(std::string_view text);
std::string reference_text(const Reference& reference);

// matches_pattern: '*' is any text, '?' any character; letters in either case; without either of
// them a pattern also matches the path itself or a file name that contains it as a word, so that
// "Q4_K_M" finds "tiny-Q4_K_M.gguf".
bool matches_pattern(std::string_view pattern, std::string_view path) noexcept;

// The number of parts that "name-00001-of-00003.gguf" speaks of; 0 when it is not the name of a
// part.
unsigned split_parts(std::string_view file) noexcept;

}  // namespace tacit::registry
