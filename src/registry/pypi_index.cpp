#include "registry/pypi_index.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "core/text.hpp"
#include "registry/json.hpp"

namespace tacit::registry {
namespace json = boost::json;

namespace {

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f'; }

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

std::string without_fragment(std::string_view url) {
  return std::string{url.substr(0, url.find('#'))};
}

std::unexpected<Error> too_many_files() {
  return fail(
      Error{Code::too_large, "the index page lists too many files"}.with("limit", kIndexFilesMax));
}

Result<std::vector<IndexFile>> parse_json_page(std::string_view body) {
  TACIT_TRY(const auto document, parse_json(body, kIndexBytesMax));
  const auto* page = document.if_object();
  const auto* listed = page != nullptr ? page->if_contains("files") : nullptr;
  const auto* entries = listed != nullptr ? listed->if_array() : nullptr;
  if (entries == nullptr) return fail(Code::malformed, "the index page has no list of files");
  if (entries->size() > kIndexFilesMax) return too_many_files();
  std::vector<IndexFile> files;
  for (const auto& entry : *entries) {
    const auto* object = entry.if_object();
    const auto* filename = object != nullptr ? object->if_contains("filename") : nullptr;
    const auto* url = object != nullptr ? object->if_contains("url") : nullptr;
    if (filename == nullptr || !filename->is_string() || url == nullptr || !url->is_string()) {
      return fail(Code::malformed, "a file on the index page has no name or no address");
    }
    IndexFile file;
    file.filename = std::string_view{filename->get_string()};
    file.url = without_fragment(url->get_string());
    // false, true, or the reason as text.
    const auto* yanked = object->if_contains("yanked");
    file.yanked = yanked != nullptr && (yanked->is_string() || yanked->if_bool() != nullptr) &&
                  !(yanked->is_bool() && !yanked->get_bool());
    files.push_back(std::move(file));
  }
  return files;
}

// The character that an entity between '&' and ';' stands for; only those an address may need.
std::optional<char> entity(std::string_view name) {
  if (name == "amp") return '&';
  if (name == "lt") return '<';
  if (name == "gt") return '>';
  if (name == "quot") return '"';
  if (name == "apos") return '\'';
  if (!name.starts_with('#')) return std::nullopt;
  name.remove_prefix(1);
  const bool hex = name.starts_with('x') || name.starts_with('X');
  if (hex) name.remove_prefix(1);
  if (name.empty() || name.size() > 3) return std::nullopt;
  unsigned value = 0;
  for (const char c : name) {
    const std::string_view digits = "0123456789abcdef";
    const auto digit = digits.find(c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c);
    if (digit == std::string_view::npos || (!hex && digit > 9)) return std::nullopt;
    value = value * (hex ? 16 : 10) + static_cast<unsigned>(digit);
  }
  if (value < 0x20 || value > 0x7E) return std::nullopt;
  return static_cast<char>(value);
}

std::string decode_entities(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const auto ampersand = text.find('&');
    out += text.substr(0, ampersand);
    if (ampersand == std::string_view::npos) break;
    text.remove_prefix(ampersand);
    const auto end = text.substr(0, 10).find(';');
    const auto decoded =
        end == std::string_view::npos ? std::nullopt : entity(text.substr(1, end - 1));
    out += decoded.value_or('&');
    text.remove_prefix(decoded ? end + 1 : 1);
  }
  return out;
}

// HtmlCursor walks over the tags of a page. It knows just enough of HTML for index pages: tags,
// attributes with and without quotes, comments.
class HtmlCursor {
 public:
  struct Tag {
    std::string name;  // lower case; "/a" for an end
    std::optional<std::string> href;
    bool yanked = false;
  };

  explicit HtmlCursor(std::string_view text) : rest_{text} {}

  // Moves behind the next tag and returns it; nullopt at the end of the page.
  std::optional<Tag> next() {
    while (true) {
      const auto open = rest_.find('<');
      if (open == std::string_view::npos) return std::nullopt;
      before_ = rest_.substr(0, open);
      rest_.remove_prefix(open + 1);
      if (rest_.starts_with("!--")) {
        const auto end = rest_.find("-->");
        if (end == std::string_view::npos) return std::nullopt;
        rest_.remove_prefix(end + 3);
        continue;
      }
      Tag tag;
      tag.name = to_lower_ascii(take_until_one_of(" \t\n\r\f>"));
      attributes(tag);
      return tag;
    }
  }
  // The text between the last two tags.
  std::string_view text_before() const { return before_; }

 private:
  std::string_view take_until_one_of(std::string_view stops) {
    const auto size = std::min(rest_.find_first_of(stops), rest_.size());
    const auto taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  void skip_spaces() {
    while (!rest_.empty() && is_space(rest_.front())) rest_.remove_prefix(1);
  }

  void attributes(Tag& tag) {
    while (true) {
      skip_spaces();
      if (rest_.empty()) return;
      if (rest_.front() == '>') {
        rest_.remove_prefix(1);
        return;
      }
      if (rest_.front() == '/' || rest_.front() == '=') {
        rest_.remove_prefix(1);
        continue;
      }
      const auto name = to_lower_ascii(take_until_one_of(" \t\n\r\f>=/"));
      skip_spaces();
      std::string_view value;
      if (rest_.starts_with('=')) {
        rest_.remove_prefix(1);
        skip_spaces();
        value = attribute_value();
      }
      if (name == "href")
        tag.href = decode_entities(value);
      else if (name == "data-yanked")
        tag.yanked = true;
    }
  }

  std::string_view attribute_value() {
    if (rest_.empty() || (rest_.front() != '"' && rest_.front() != '\'')) {
      return take_until_one_of(" \t\n\r\f>");
    }
    const auto quote = rest_.substr(0, 1);
    rest_.remove_prefix(1);
    const auto value = take_until_one_of(quote);
    if (!rest_.empty()) rest_.remove_prefix(1);
    return value;
  }

  std::string_view rest_;
  std::string_view before_;
};

Result<std::vector<IndexFile>> parse_html_page(std::string_view body) {
  std::vector<IndexFile> files;
  HtmlCursor cursor{body};
  std::optional<IndexFile> open;  // the link whose end is not reached yet
  while (const auto tag = cursor.next()) {
    if (open && (tag->name == "a" || tag->name == "/a")) {
      auto file = *std::exchange(open, std::nullopt);
      file.filename = decode_entities(trim(cursor.text_before()));
      if (!file.filename.empty() && !file.url.empty()) files.push_back(std::move(file));
      if (files.size() > kIndexFilesMax) return too_many_files();
    }
    if (tag->name == "a" && tag->href) {
      open = IndexFile{.url = without_fragment(trim(*tag->href)), .yanked = tag->yanked};
    }
  }
  return files;
}

}  // namespace

Result<std::vector<IndexFile>> parse_index_page(std::string_view content_type,
                                                std::string_view body) {
  if (body.size() > kIndexBytesMax) {
    return fail(
        Error{Code::too_large, "the index page is too large"}.with("limit", kIndexBytesMax));
  }
  const auto type = to_lower_ascii(trim(content_type.substr(0, content_type.find(';'))));
  if (type.ends_with("json")) return parse_json_page(body);
  return parse_html_page(body);
}

std::string normal_project_name(std::string_view name) {
  std::string out;
  for (const char c : name) {
    const bool separator = c == '-' || c == '_' || c == '.';
    if (!separator)
      out += c;
    else if (!out.ends_with('-'))
      out += '-';
  }
  return to_lower_ascii(out);
}

const IndexFile* choose_wheel(const std::vector<IndexFile>& files, std::string_view project,
                              std::string_view version) {
  const IndexFile* yanked = nullptr;
  for (const auto& file : files) {
    // name-version[-build]-python-abi-platform.whl; names have no '-' of their own (PEP 427).
    std::string_view rest = file.filename;
    if (!rest.ends_with(".whl") || std::ranges::count(rest, '-') < 4) continue;
    const auto name = rest.substr(0, rest.find('-'));
    rest.remove_prefix(name.size() + 1);
    if (rest.substr(0, rest.find('-')) != version) continue;
    if (normal_project_name(name) != normal_project_name(project)) continue;
    if (!file.yanked) return &file;
    if (yanked == nullptr) yanked = &file;
  }
  return yanked;
}

}  // namespace tacit::registry
