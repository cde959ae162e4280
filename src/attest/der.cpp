#include "attest/der.hpp"

namespace tacit::attest::der {
namespace {

constexpr Literal kMalformed = "DER";

// The decimal number of `n` digits at `at`; -1 when one is not a digit.
int digits(std::string_view text, std::size_t at, std::size_t n) {
  int value = 0;
  for (std::size_t i = at; i < at + n; ++i) {
    if (text[i] < '0' || text[i] > '9') return -1;
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

}  // namespace

Result<Element> Reader::any() {
  if (rest_.size() < 2) return fail(Code::malformed, kMalformed);
  const auto tag = std::to_integer<std::uint8_t>(rest_[0]);
  if ((tag & 0x1fU) == 0x1fU) return fail(Code::malformed, "DER tag of several bytes");
  std::size_t length = std::to_integer<std::size_t>(rest_[1]);
  std::size_t header = 2;
  if (length >= 0x80) {
    const std::size_t num_bytes = length & 0x7fU;
    if (num_bytes < 1 || num_bytes > 3 || rest_.size() < 2 + num_bytes)
      return fail(Code::malformed, "DER length");
    length = 0;
    for (std::size_t i = 0; i < num_bytes; ++i)
      length = length << 8U | std::to_integer<std::size_t>(rest_[2 + i]);
    if (length < 0x80 || (num_bytes > 1 && length >> (8 * (num_bytes - 1)) == 0))
      return fail(Code::malformed, "DER length is not in its shortest form");
    header += num_bytes;
  }
  if (rest_.size() - header < length) return fail(Code::malformed, "DER is cut short");
  const Element element{tag, rest_.subspan(header, length), rest_.first(header + length)};
  rest_ = rest_.subspan(header + length);
  return element;
}

Result<Element> Reader::take(std::uint8_t tag) {
  if (!next_is(tag)) return fail(Code::malformed, "DER element of another type");
  return any();
}

Result<Reader> Reader::enter(std::uint8_t tag) {
  TACIT_TRY(const auto element, take(tag));
  return Reader{element.content};
}

Result<std::uint64_t> Reader::small_integer() {
  TACIT_TRY(const auto element, take(kInteger));
  const auto bytes = element.content;
  if (bytes.empty() || (std::to_integer<unsigned>(bytes[0]) & 0x80U) != 0)
    return fail(Code::malformed, "DER integer");
  if (bytes.size() > 1 && bytes[0] == std::byte{0} &&
      (std::to_integer<unsigned>(bytes[1]) & 0x80U) == 0)
    return fail(Code::malformed, "DER integer is not in its shortest form");
  const auto magnitude = bytes[0] == std::byte{0} ? bytes.subspan(1) : bytes;
  if (magnitude.size() > 8) return fail(Code::too_large, "DER integer");
  std::uint64_t value = 0;
  for (const auto byte : magnitude) value = value << 8U | std::to_integer<std::uint64_t>(byte);
  return value;
}

Result<BytesView> Reader::octet_bits() {
  TACIT_TRY(const auto element, take(kBitString));
  if (element.content.empty() || element.content[0] != std::byte{0})
    return fail(Code::malformed, "DER bit string with unused bits");
  return element.content.subspan(1);
}

Result<UnixTime> Reader::time() {
  TACIT_TRY(const auto element, any());
  const auto text = as_text(element.content);
  const bool utc = element.tag == kUtcTime;
  if (!utc && element.tag != kGeneralizedTime) return fail(Code::malformed, "DER time");
  const std::size_t year_digits = utc ? 2 : 4;
  if (text.size() != year_digits + 11 || text.back() != 'Z')
    return fail(Code::malformed, "DER time");
  int year = digits(text, 0, year_digits);
  if (utc && year >= 0) year += year < 50 ? 2000 : 1900;  // RFC 5280, 4.1.2.5.1
  const int month = digits(text, year_digits, 2);
  const int day = digits(text, year_digits + 2, 2);
  const int hour = digits(text, year_digits + 4, 2);
  const int minute = digits(text, year_digits + 6, 2);
  const int second = digits(text, year_digits + 8, 2);
  if (year < 0 || month < 1 || day < 1 || hour < 0 || minute < 0 || second < 0 || hour > 23 ||
      minute > 59 || second > 59)
    return fail(Code::malformed, "DER time");
  const std::chrono::year_month_day date{std::chrono::year{year},
                                         std::chrono::month{static_cast<unsigned>(month)},
                                         std::chrono::day{static_cast<unsigned>(day)}};
  if (!date.ok()) return fail(Code::malformed, "DER time");
  return UnixTime{std::chrono::sys_days{date}} + std::chrono::hours{hour} +
         std::chrono::minutes{minute} + std::chrono::seconds{second};
}

}  // namespace tacit::attest::der
