// PEM (RFC 7468), one object, no headers.
#include <algorithm>

#include "core/text.hpp"
#include "crypto/sign_impl.hpp"

namespace tacit::crypto {
namespace {

constexpr std::size_t kLineBytes = 48;  // 64 characters
constexpr std::size_t kPemBytesMax = 64 * 1024;

std::unexpected<Error> malformed() { return fail(Code::malformed, "PEM"); }

bool take(std::string_view& text, std::string_view expected) {
  if (!text.starts_with(expected)) return false;
  text.remove_prefix(expected.size());
  return true;
}

bool is_blank(char c) { return c == '\n' || c == '\r' || c == ' ' || c == '\t'; }

// A line's end, or nothing.
bool take_newline(std::string_view& text) { return take(text, "\n") || take(text, "\r\n"); }

void wipe_text(std::string& text) {
  wipe({reinterpret_cast<std::byte*>(text.data()), text.size()});
}

}  // namespace

Result<SecretBytes> pem_decode(std::string_view text, std::string_view label) {
  if (text.size() > kPemBytesMax) return malformed();
  if (!take(text, "-----BEGIN ") || !take(text, label) || !take(text, "-----") ||
      !take_newline(text)) {
    return malformed();
  }
  const auto end = text.find('-');
  if (end == std::string_view::npos) return malformed();
  std::string base64;
  base64.reserve(end);  // never grows, so that no copy stays behind
  for (auto body = text.substr(0, end); !body.empty();) {
    if (take_newline(body)) continue;
    base64.push_back(body.front());
    body.remove_prefix(1);
  }
  text.remove_prefix(end);
  auto der = from_base64(base64);
  wipe_text(base64);
  if (!der) return malformed();
  SecretBytes result{BytesView{*der}};
  wipe(*der);
  if (!take(text, "-----END ") || !take(text, label) || !take(text, "-----")) return malformed();
  for (const char c : text) {
    if (!is_blank(c)) return malformed();
  }
  return result;
}

void pem_encode(BytesView der, std::string_view label, SecretText& out) {
  out.append("-----BEGIN ");
  out.append(label);
  out.append("-----\n");
  while (!der.empty()) {
    const auto part = der.first(std::min(der.size(), kLineBytes));
    auto line = to_base64(part);
    out.append(line);
    wipe_text(line);
    out.append("\n");
    der = der.subspan(part.size());
  }
  out.append("-----END ");
  out.append(label);
  out.append("-----\n");
}

}  // namespace tacit::crypto
