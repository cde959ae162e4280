// A strict reader of DER (X.690): definite lengths in their shortest form, one-byte tags, nothing
// else. Views borrow from the input. Errors: Code::malformed.
#pragma once

#include <chrono>
#include <cstdint>

#include "core/bytes.hpp"
#include "core/error.hpp"

namespace tacit::attest {

// Whole seconds since 1970: certificates reach the year 9999, which nanoseconds do not.
using UnixTime = std::chrono::sys_seconds;

namespace der {

inline constexpr std::uint8_t kBoolean = 0x01;
inline constexpr std::uint8_t kInteger = 0x02;
inline constexpr std::uint8_t kBitString = 0x03;
inline constexpr std::uint8_t kOctetString = 0x04;
inline constexpr std::uint8_t kOid = 0x06;
inline constexpr std::uint8_t kEnumerated = 0x0a;
inline constexpr std::uint8_t kUtcTime = 0x17;
inline constexpr std::uint8_t kGeneralizedTime = 0x18;
inline constexpr std::uint8_t kSequence = 0x30;
inline constexpr std::uint8_t kSet = 0x31;
// Context-specific, constructed: [n] EXPLICIT.
constexpr std::uint8_t context(unsigned n) { return static_cast<std::uint8_t>(0xa0U | n); }

struct Element {
  std::uint8_t tag = 0;
  BytesView content;
  BytesView whole;  // tag, length and content
};

class Reader {
 public:
  explicit Reader(BytesView bytes) noexcept : rest_{bytes} {}

  bool done() const noexcept { return rest_.empty(); }
  // Whether the next element has this tag.
  bool next_is(std::uint8_t tag) const noexcept {
    return !rest_.empty() && std::to_integer<std::uint8_t>(rest_[0]) == tag;
  }
  Result<Element> any();
  Result<Element> take(std::uint8_t tag);
  // A reader of the content of the next element.
  Result<Reader> enter(std::uint8_t tag);
  // An INTEGER of at most eight content bytes that is not negative.
  Result<std::uint64_t> small_integer();
  // BIT STRING with no unused bits: its bytes.
  Result<BytesView> octet_bits();
  // UTCTime or GeneralizedTime in RFC 5280's forms (seconds, "Z").
  Result<UnixTime> time();

 private:
  BytesView rest_;
};

}  // namespace der
}  // namespace tacit::attest
