#include "formats/template_scan.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include "core/text.hpp"

namespace tacit::formats {
namespace {

constexpr std::size_t kFindingsMax = 16;

constexpr auto kTags = std::to_array<std::string_view>(
    {"for",      "endfor", "else",     "elif",     "if",         "endif",         "set",
     "endset",   "macro",  "endmacro", "call",     "endcall",    "filter",        "endfilter",
     "raw",      "endraw", "break",    "continue", "generation", "endgeneration", "block",
     "endblock", "with",   "endwith",  "do"});
// Names that mean something of the program around the template.
constexpr auto kReaching =
    std::to_array<std::string_view>({"self",        "request", "config",  "cycler",
                                     "joiner",      "lipsum",  "url_for", "get_flashed_messages",
                                     "application", "os",      "sys",     "subprocess",
                                     "eval",        "exec",    "open",    "compile",
                                     "globals",     "locals",  "getattr", "setattr",
                                     "builtins",    "import",  "popen",   "system"});
constexpr auto kFunctions = std::to_array<std::string_view>({"range",        "raise_exception",
                                                             "strftime_now", "namespace",
                                                             "dict",         "caller",
                                                             "loop",         "super",
                                                             "tojson",       "not",
                                                             "in",           "and",
                                                             "or",           "is",
                                                             "if",           "else",
                                                             "elif",         "for",
                                                             "set",          "recursive"});
// Filters that look things up by name.
constexpr auto kLookups = std::to_array<std::string_view>({"attr", "pprint", "xmlattr"});
// Insides of functions, generators, frames and code that lead to everything else.
constexpr auto kInsides =
    std::to_array<std::string_view>({"gi_", "cr_", "ag_", "f_", "tb_", "co_", "func_", "im_"});

template <class Names> bool one_of(const Names& names, std::string_view text) {
  return std::ranges::find(names, text) != names.end();
}

bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
         static_cast<unsigned char>(c) >= 0x80;
}
bool is_name(char c) { return is_name_start(c) || (c >= '0' && c <= '9'); }

std::string printable(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, 80)) out += c >= ' ' && c <= '~' ? c : '?';
  return out;
}

// The escapes that can spell an underscore or a letter: \xHH, \uHHHH, octal.
std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    const char kind = text[++i];
    const std::size_t digits = kind == 'x' ? 2 : kind == 'u' ? 4 : kind == 'U' ? 8 : 0;
    if (digits > 0 && i + digits < text.size()) {
      const auto bytes = from_hex(text.substr(i + 1, digits));
      if (bytes) {
        out += static_cast<char>(bytes->back());
        i += digits;
        continue;
      }
    }
    if (kind >= '0' && kind <= '7') {
      unsigned value = 0;
      std::size_t n = 0;
      while (n < 3 && i + n < text.size() && text[i + n] >= '0' && text[i + n] <= '7') {
        value = value * 8 + static_cast<unsigned>(text[i + n++] - '0');
      }
      out += static_cast<char>(value);
      i += n - 1;
      continue;
    }
    out += kind;
  }
  return out;
}

class TemplateScan {
 public:
  explicit TemplateScan(std::string_view text) : rest_{text} {}

  std::vector<TemplateFinding> run() {
    collect_macros();
    while (true) {
      const auto open = next_opening();
      if (open == std::string_view::npos) return std::move(findings_);
      const char kind = rest_[open + 1];
      rest_.remove_prefix(open + 2);
      const auto body = kind == '#' ? comment() : block(kind == '%' ? "%}" : "}}");
      if (body == std::string_view::npos) {
        find("the template ends within a block", "", false);
        return std::move(findings_);
      }
      if (kind != '#') expression(rest_.substr(0, body), kind == '%');
      rest_.remove_prefix(body + 2);
    }
  }

 private:
  void find(Literal what, std::string_view subject, bool dangerous = true) {
    if (findings_.size() < kFindingsMax) findings_.push_back({what, printable(subject), dangerous});
  }

  std::size_t next_opening() const {
    for (std::size_t i = 0; i + 1 < rest_.size(); ++i) {
      if (rest_[i] == '{' && (rest_[i + 1] == '{' || rest_[i + 1] == '%' || rest_[i + 1] == '#'))
        return i;
    }
    return std::string_view::npos;
  }
  std::size_t comment() const { return rest_.find("#}"); }
  // Where the block ends: outside of strings.
  std::size_t block(std::string_view close) const {
    char quote = 0;
    for (std::size_t i = 0; i < rest_.size(); ++i) {
      const char c = rest_[i];
      if (quote != 0) {
        if (c == '\\')
          ++i;
        else if (c == quote)
          quote = 0;
      } else if (c == '\'' || c == '"') {
        quote = c;
      } else if (rest_.substr(i).starts_with(close)) {
        return i;
      }
    }
    return std::string_view::npos;
  }

  // Names of macros, and of variables, which may hold one.
  void collect_macros() {
    for (const std::string_view word : {"macro ", "set "}) {
      for (auto at = rest_.find(word); at != std::string_view::npos;
           at = rest_.find(word, at + 1)) {
        auto name = rest_.substr(at + word.size());
        while (name.starts_with(' ')) name.remove_prefix(1);
        const auto end = std::ranges::find_if_not(name, is_name) - name.begin();
        macros_.insert(name.substr(0, static_cast<std::size_t>(end)));
      }
    }
  }

  void check_text(std::string_view raw) {
    const auto text = unescaped(raw);
    if (text.find("__") != std::string::npos) {
      find("it spells the name of something inside of Python", text);
    }
  }
  void check_name(std::string_view name, char before, bool called) {
    if (name.find("__") != std::string_view::npos || (before == '.' && name.starts_with('_'))) {
      find("it reaches for something inside of Python", name);
      return;
    }
    if (before == '.') {
      const bool inside =
          std::ranges::any_of(kInsides, [&](auto p) { return name.starts_with(p); });
      if (inside || name == "mro") find("it reaches for something inside of Python", name);
      return;
    }
    if (before == '|') {
      if (one_of(kLookups, name)) find("it looks up an attribute by a name that it makes up", name);
      return;
    }
    if (one_of(kReaching, name) && (called || before_dot_)) {
      find("it reaches for something of the program around it", name);
    } else if (called && !one_of(kFunctions, name) && !macros_.contains(name)) {
      find("it calls a function that templates do not have", name, name == "chr");
    }
  }

  void expression(std::string_view body, bool tag) {
    bool first = tag;
    char before = 0;  // the last character that is no space
    for (std::size_t i = 0; i < body.size();) {
      const char c = body[i];
      if (c == '\'' || c == '"') {
        auto end = i + 1;
        while (end < body.size() && body[end] != c) end += body[end] == '\\' ? 2 : 1;
        end = std::min(end, body.size());
        check_text(body.substr(i + 1, end - i - 1));
        i = end + 1;
        before = c;
        continue;
      }
      if (is_name_start(c)) {
        auto end = i;
        while (end < body.size() && is_name(body[end])) ++end;
        const auto name = body.substr(i, end - i);
        auto after = end;
        while (after < body.size() && body[after] == ' ') ++after;
        const bool called = after < body.size() && body[after] == '(';
        before_dot_ = after < body.size() && (body[after] == '.' || body[after] == '[');
        if (first && !one_of(kTags, name))
          find("a statement that chat templates do not need", name);
        else if (!first)
          check_name(name, before, called);
        first = false;
        before = body[end - 1];
        i = end;
        continue;
      }
      if (c != ' ' && c != '\n' && c != '\t' && c != '\r') before = c;
      ++i;
    }
  }

  std::string_view rest_;
  std::set<std::string_view> macros_;
  bool before_dot_ = false;
  std::vector<TemplateFinding> findings_;
};

}  // namespace

std::vector<TemplateFinding> scan_template(std::string_view text) {
  return TemplateScan{text}.run();
}

}  // namespace tacit::formats
