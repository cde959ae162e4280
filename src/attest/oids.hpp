// Object identifiers, as their DER content bytes. Private to this module.
#pragma once

#include <array>

#include "core/bytes.hpp"

namespace tacit::attest::oid {

template <class... T> constexpr auto bytes(T... values) {
  return std::array<std::byte, sizeof...(T)>{static_cast<std::byte>(values)...};
}

// RFC 5280.
inline constexpr auto kCommonName = bytes(0x55, 0x04, 0x03);
inline constexpr auto kBasicConstraints = bytes(0x55, 0x1d, 0x13);
inline constexpr auto kKeyUsage = bytes(0x55, 0x1d, 0x0f);
inline constexpr auto kExtendedKeyUsage = bytes(0x55, 0x1d, 0x25);
inline constexpr auto kCertificatePolicies = bytes(0x55, 0x1d, 0x20);
inline constexpr auto kSubjectAlternativeName = bytes(0x55, 0x1d, 0x11);

// Intel, "SGX PCK certificate and CRL profile": 1.2.840.113741.1.13.1 and its members.
inline constexpr auto kSgxExtensions = bytes(0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01);

// AMD, "VCEK certificate and KDS interface specification" (57230): 1.3.6.1.4.1.3704.1.
inline constexpr auto kAmd = bytes(0x2b, 0x06, 0x01, 0x04, 0x01, 0x9c, 0x78, 0x01);

// TCG DICE: 2.23.133.5.4.1 (TcbInfo) and .5.4.1.1.
inline constexpr auto kDiceTcbInfo = bytes(0x67, 0x81, 0x05, 0x05, 0x04, 0x01);

}  // namespace tacit::attest::oid
