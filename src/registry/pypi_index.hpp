// The pages of a Python package index: PEP 503 (HTML) and PEP 691 (JSON). Sans-I/O, bounded.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "core/error.hpp"

namespace tacit::registry {

inline constexpr std::size_t kIndexBytesMax = 32 * 1024 * 1024;
inline constexpr std::size_t kIndexFilesMax = 200'000;

// What to ask for: JSON where the index has it.
inline constexpr std::string_view kIndexAccept =
    "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, "
    "text/html;q=0.1";

struct IndexFile {
  std::string filename;
  std::string url;  // as the page has it: absolute or relative, without its fragment
  bool yanked = false;
};

// parse_index_page reads a project's page; `content_type` is the header's value ("" reads as HTML).
// Links that are not for files are left out. Errors: malformed, too_large.
Result<std::vector<IndexFile>> parse_index_page(std::string_view content_type,
                                                std::string_view body);

// normal_project_name is PEP 503's: lower case, runs of '-', '_' and '.' as one '-'.
std::string normal_project_name(std::string_view name);

// choose_wheel returns the wheel of exactly this version (any platform: what is read from it are
// data files), preferring one that is not yanked; nullptr when there is none. Points into `files`.
const IndexFile* choose_wheel(const std::vector<IndexFile>& files, std::string_view project,
                              std::string_view version);

}  // namespace tacit::registry
