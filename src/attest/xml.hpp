// A small, strict reader of XML, and Canonical XML 1.1 (W3C, 2 May 2008) of what it reads: enough
// for signed SWID tags. No DTDs, comments, processing instructions, CDATA or numeric references:
// what it does not understand it refuses. Private.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "core/error.hpp"

namespace tacit::attest {

struct XmlElement;
using XmlNode = std::variant<std::string, XmlElement>;

struct XmlElement {
  std::string name;  // with its prefix
  std::vector<std::pair<std::string, std::string>> attributes;
  std::vector<XmlNode> children;

  std::string_view local_name() const;
  // The first child of that local name; null when there is none.
  const XmlElement* child(std::string_view local) const;
  std::vector<const XmlElement*> children_named(std::string_view local) const;
  // The value of the attribute of that local name, whatever its prefix; empty when there is none.
  std::string_view attribute(std::string_view local) const;
  // All text directly inside.
  std::string text() const;
};

inline constexpr std::size_t kXmlBytesMax = 1024 * 1024;

// Errors: malformed, too_large, unsupported.
Result<XmlElement> parse_xml(std::string_view text);

// The canonical form of `element` as part of a document whose outer elements declare the namespaces
// `outer` (prefix, or empty, and URI), without the subtree `skip`.
using XmlNamespaces = std::vector<std::pair<std::string, std::string>>;
std::string canonical_xml(const XmlElement& element, const XmlNamespaces& outer,
                          const XmlElement* skip);
// The namespaces that an element declares itself.
XmlNamespaces declared_namespaces(const XmlElement& element);

}  // namespace tacit::attest
