#include "attest/xml.hpp"

#include <algorithm>
#include <array>

namespace tacit::attest {
namespace {

constexpr std::size_t kDepthMax = 16;
constexpr std::size_t kNodesMax = 20'000;
constexpr std::size_t kAttributesMax = 32;

struct Entity {
  std::string_view name;
  char character;
};
constexpr std::array kEntities{Entity{"&amp;", '&'}, Entity{"&lt;", '<'}, Entity{"&gt;", '>'},
                               Entity{"&quot;", '"'}, Entity{"&apos;", '\''}};

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-' || c == '.' || c == ':';
}
bool is_blank(char c) { return c == ' ' || c == '\n' || c == '\t'; }

std::string_view after_colon(std::string_view name) {
  const auto at = name.find(':');
  return at == std::string_view::npos ? name : name.substr(at + 1);
}

class Parser {
 public:
  explicit Parser(std::string_view text) : rest_{text} {}

  Result<XmlElement> document() {
    if (rest_.starts_with("<?xml ")) {
      const auto end = rest_.find("?>");
      if (end == std::string_view::npos) return malformed();
      rest_.remove_prefix(end + 2);
    }
    skip_blank();
    TACIT_TRY(auto root, element(0));
    skip_blank();
    if (!rest_.empty()) return fail(Code::malformed, "text after an XML document");
    return root;
  }

 private:
  static std::unexpected<Error> malformed() { return fail(Code::malformed, "XML"); }

  void skip_blank() {
    while (!rest_.empty() && is_blank(rest_[0])) rest_.remove_prefix(1);
  }
  bool take(std::string_view literal) {
    if (!rest_.starts_with(literal)) return false;
    rest_.remove_prefix(literal.size());
    return true;
  }
  Result<std::string> name() {
    std::size_t n = 0;
    while (n < rest_.size() && is_name_character(rest_[n])) ++n;
    if (n == 0 || n > 200) return malformed();
    std::string out{rest_.substr(0, n)};
    if (std::ranges::count(out, ':') > 1 || out.front() == ':' || out.back() == ':')
      return malformed();
    rest_.remove_prefix(n);
    return out;
  }
  // Text up to one of `ends`, with references resolved.
  Result<std::string> characters(std::string_view ends) {
    std::string out;
    while (!rest_.empty() && !ends.contains(rest_[0])) {
      const char c = rest_[0];
      if (c == '&') {
        const auto* const known = std::ranges::find_if(
            kEntities, [&](const Entity& e) { return rest_.starts_with(e.name); });
        if (known == kEntities.end()) return fail(Code::unsupported, "reference in XML");
        out += known->character;
        rest_.remove_prefix(known->name.size());
        continue;
      }
      if ((static_cast<unsigned char>(c) < 0x20 && !is_blank(c)) || c == '\x7f') return malformed();
      out += c;
      rest_.remove_prefix(1);
    }
    return out;
  }
  Result<void> attributes(XmlElement& out) {
    for (;;) {
      const bool blank = !rest_.empty() && is_blank(rest_[0]);
      skip_blank();
      if (rest_.starts_with('>') || rest_.starts_with('/')) return {};
      if (!blank || out.attributes.size() == kAttributesMax) return malformed();
      TACIT_TRY(auto key, name());
      if (!take("=\"")) return malformed();
      TACIT_TRY(auto value, characters("\"<\n\t"));
      if (!take("\"")) return malformed();
      for (const auto& [other, ignored] : out.attributes)
        if (after_colon(other) == after_colon(key)) return malformed();
      out.attributes.emplace_back(std::move(key), std::move(value));
    }
  }
  Result<XmlElement> element(std::size_t depth) {
    if (depth == kDepthMax || ++num_nodes_ > kNodesMax)
      return fail(Code::too_large, "depth or number of elements of XML");
    if (!take("<")) return malformed();
    XmlElement out;
    TACIT_TRY(out.name, name());
    TACIT_CHECK(attributes(out));
    if (take("/>")) return out;
    if (!take(">")) return malformed();
    for (;;) {
      TACIT_TRY(auto text, characters("<"));
      if (!text.empty()) out.children.emplace_back(std::move(text));
      if (take("</")) break;
      TACIT_TRY(auto child, element(depth + 1));
      out.children.emplace_back(std::move(child));
    }
    if (!take(out.name)) return malformed();
    skip_blank();
    if (!take(">")) return malformed();
    return out;
  }

  std::string_view rest_;
  std::size_t num_nodes_ = 0;
};

void put_escaped(std::string& out, std::string_view text, bool attribute) {
  for (const char c : text) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += attribute ? ">" : "&gt;"; break;
      case '"': out += attribute ? "&quot;" : "\""; break;
      default: out += c;
    }
  }
}

bool is_declaration(std::string_view name) { return name == "xmlns" || name.starts_with("xmlns:"); }

class Canonicaliser {
 public:
  explicit Canonicaliser(const XmlElement* skip) : skip_{skip} {}

  // `scope` are the namespaces in force; `shown` those that an output ancestor already shows.
  void put(const XmlElement& element, XmlNamespaces scope, const XmlNamespaces& shown) {
    for (auto& [prefix, uri] : declared_namespaces(element)) {
      std::erase_if(scope, [&](const auto& old) { return old.first == prefix; });
      scope.emplace_back(prefix, uri);
    }
    std::ranges::sort(scope);
    out_ += "<" + element.name;
    for (const auto& one : scope) {
      if (std::ranges::find(shown, one) != shown.end()) continue;
      out_ += one.first.empty() ? std::string{" xmlns=\""} : " xmlns:" + one.first + "=\"";
      put_escaped(out_, one.second, true);
      out_ += '"';
    }
    put_attributes(element, scope);
    out_ += '>';
    for (const auto& node : element.children) {
      if (const auto* text = std::get_if<std::string>(&node)) {
        put_escaped(out_, *text, false);
      } else if (const auto& child = std::get<XmlElement>(node); &child != skip_) {
        put(child, scope, scope);
      }
    }
    out_ += "</" + element.name + ">";
  }
  std::string take() && { return std::move(out_); }

 private:
  // Sorted by namespace URI, then local name; attributes without prefix are in no namespace.
  void put_attributes(const XmlElement& element, const XmlNamespaces& scope) {
    struct Row {
      std::string_view uri, local, name, value;
      auto key() const { return std::pair{uri, local}; }
    };
    std::vector<Row> rows;
    for (const auto& [name, value] : element.attributes) {
      if (is_declaration(name)) continue;
      const auto colon = name.find(':');
      std::string_view uri;
      if (colon != std::string::npos) {
        const auto prefix = std::string_view{name}.substr(0, colon);
        const auto at = std::ranges::find(scope, prefix, &XmlNamespaces::value_type::first);
        if (at != scope.end()) uri = at->second;
      }
      rows.push_back({uri, after_colon(name), name, value});
    }
    std::ranges::sort(rows, {}, &Row::key);
    for (const auto& row : rows) {
      out_ += ' ';
      out_ += row.name;
      out_ += "=\"";
      put_escaped(out_, row.value, true);
      out_ += '"';
    }
  }

  const XmlElement* skip_;
  std::string out_;
};

}  // namespace

std::string_view XmlElement::local_name() const { return after_colon(name); }

std::vector<const XmlElement*> XmlElement::children_named(std::string_view local) const {
  std::vector<const XmlElement*> out;
  for (const auto& node : children)
    if (const auto* element = std::get_if<XmlElement>(&node);
        element != nullptr && element->local_name() == local)
      out.push_back(element);
  return out;
}

const XmlElement* XmlElement::child(std::string_view local) const {
  const auto all = children_named(local);
  return all.size() == 1 ? all[0] : nullptr;
}

std::string_view XmlElement::attribute(std::string_view local) const {
  for (const auto& [key, value] : attributes)
    if (!is_declaration(key) && after_colon(key) == local) return value;
  return {};
}

std::string XmlElement::text() const {
  std::string out;
  for (const auto& node : children)
    if (const auto* text = std::get_if<std::string>(&node)) out += *text;
  return out;
}

XmlNamespaces declared_namespaces(const XmlElement& element) {
  XmlNamespaces out;
  for (const auto& [name, value] : element.attributes) {
    if (name == "xmlns") out.emplace_back("", value);
    if (name.starts_with("xmlns:")) out.emplace_back(name.substr(6), value);
  }
  return out;
}

Result<XmlElement> parse_xml(std::string_view text) {
  if (text.size() > kXmlBytesMax)
    return fail(Error{Code::too_large, "XML document"}.with("limit", kXmlBytesMax));
  std::string lines;  // XML reads "\r\n" as "\n"
  lines.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i)
    if (text[i] != '\r' || i + 1 == text.size() || text[i + 1] != '\n') lines += text[i];
  return Parser{lines}.document();
}

std::string canonical_xml(const XmlElement& element, const XmlNamespaces& outer,
                          const XmlElement* skip) {
  Canonicaliser out{skip};
  out.put(element, outer, {});
  return std::move(out).take();
}

}  // namespace tacit::attest
