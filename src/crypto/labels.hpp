// HPKE's labelled key derivation: RFC 9180 section 4 for HKDF, draft-ietf-hpke-hpke section 4 for
// single-stage functions. Private.
#pragma once

#include <array>
#include <cstdint>

#include "crypto/hkdf.hpp"

namespace tacit::crypto {

inline constexpr std::string_view kHpkeVersion = "HPKE-v1";

// Two bytes, big-endian: I2OSP(value, 2).
constexpr std::array<std::byte, 2> two_bytes(std::size_t value) {
  return {static_cast<std::byte>(value >> 8), static_cast<std::byte>(value)};
}

// "KEM" and the KEM's number: the suite_id inside every KEM.
constexpr std::array<std::byte, 5> kem_suite_id(std::uint16_t kem) {
  const auto number = two_bytes(kem);
  return {std::byte{'K'}, std::byte{'E'}, std::byte{'M'}, number[0], number[1]};
}

// LabeledHkdf binds every step to a suite. `suite_id` is borrowed.
class LabeledHkdf {
 public:
  LabeledHkdf(HashId hash, BytesView suite_id) : hkdf_{hash}, suite_id_{suite_id} {}

  std::size_t prk_bytes() const noexcept { return hkdf_.prk_bytes(); }

  void extract(BytesView salt, std::string_view label, BytesView ikm, std::span<std::byte> prk) {
    hkdf_.extract(salt, {as_bytes(kHpkeVersion), suite_id_, as_bytes(label), ikm}, prk);
  }
  // `info` comes in up to three parts. Error: as Hkdf::expand.
  Result<void> expand(BytesView prk, std::string_view label, std::array<BytesView, 3> info,
                      std::span<std::byte> out) {
    return hkdf_.expand(prk,
                        {two_bytes(out.size()), as_bytes(kHpkeVersion), suite_id_, as_bytes(label),
                         info[0], info[1], info[2]},
                        out);
  }

 private:
  Hkdf hkdf_;
  BytesView suite_id_;
};

using Xof = void (*)(Parts, std::span<std::byte>);

// LabeledDerive; `ikm` and `context` come in parts. `label` is shorter than 64 KiB.
inline void labeled_derive(Xof xof, BytesView suite_id, std::array<BytesView, 4> ikm,
                           std::string_view label, std::array<BytesView, 5> context,
                           std::span<std::byte> out) {
  xof({ikm[0], ikm[1], ikm[2], ikm[3], as_bytes(kHpkeVersion), suite_id, two_bytes(label.size()),
       as_bytes(label), two_bytes(out.size()), context[0], context[1], context[2], context[3],
       context[4]},
      out);
}

}  // namespace tacit::crypto
