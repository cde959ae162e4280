#include "api/json_text.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <span>

#include "core/text.hpp"

namespace tacit::api {
namespace {

// What a byte needs inside a JSON string: 0 nothing, 'u' \u00XX, else the letter after the
// backslash.
constexpr auto kEscapes = [] {
  std::array<char, 256> table{};
  for (std::size_t i = 0; i < 0x20; ++i) table[i] = 'u';
  table['"'] = '"';
  table['\\'] = '\\';
  table['\b'] = 'b';
  table['\f'] = 'f';
  table['\n'] = 'n';
  table['\r'] = 'r';
  table['\t'] = 't';
  return table;
}();

}  // namespace

JsonText& JsonText::string(std::string_view text) {
  raw("\"");
  std::size_t plain = 0;  // start of the run that needs no escape
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const char escape = kEscapes[byte];
    if (escape == 0) continue;
    raw(text.substr(plain, i - plain));
    if (escape == 'u') {
      constexpr std::string_view digits = "0123456789abcdef";
      const std::array<char, 6> code{'\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15]};
      raw({code.data(), code.size()});
    } else {
      const std::array<char, 2> code{'\\', escape};
      raw({code.data(), code.size()});
    }
    plain = i + 1;
  }
  raw(text.substr(plain));
  return raw("\"");
}

JsonText& JsonText::string_of_bytes(std::string_view bytes) {
  if (is_utf8(bytes)) return string(bytes);
  SecretText repaired;
  while (!bytes.empty()) {
    std::size_t n = 1;
    while (n < 4 && n < bytes.size() && !is_utf8(bytes.substr(0, n))) ++n;
    const bool whole = is_utf8(bytes.substr(0, n));
    repaired.append(whole ? bytes.substr(0, n) : std::string_view{"\xEF\xBF\xBD"});
    bytes.remove_prefix(whole ? n : 1);
  }
  return string(repaired.reveal());
}

namespace {

template <class T> std::string_view digits_of(T value, std::span<char> into) {
  const auto end = std::to_chars(into.data(), into.data() + into.size(), value).ptr;
  return {into.data(), static_cast<std::size_t>(end - into.data())};
}

}  // namespace

JsonText& JsonText::real(double value) {
  std::array<char, 32> digits{};
  return raw(std::isfinite(value) ? digits_of(value, digits) : std::string_view{"null"});
}

JsonText& JsonText::real(float value) {
  std::array<char, 32> digits{};
  return raw(std::isfinite(value) ? digits_of(value, digits) : std::string_view{"null"});
}

JsonText& JsonText::number(std::int64_t value) {
  std::array<char, 24> digits{};
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  return raw({digits.data(), static_cast<std::size_t>(end - digits.data())});
}

}  // namespace tacit::api
