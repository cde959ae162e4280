// Key encapsulation: whoever has a public key makes a fresh shared secret and its encapsulation;
// the holder of the private key gets the secret from it. The KEMs of HPKE that Tacit offers:
//
//   dhkem_x25519      DHKEM(X25519, HKDF-SHA256)   RFC 9180
//   dhkem_p256        DHKEM(P-256, HKDF-SHA256)    RFC 9180
//   ml_kem_768        ML-KEM-768                   FIPS 203, draft-ietf-hpke-pq
//   mlkem768_x25519   MLKEM768-X25519, "X-Wing"    draft-connolly-cfrg-xwing-kem
//
// Key objects hold parsed and expanded keys, so that a server which decapsulates many times with
// one key pays for it once. They do not change after construction: every const function may be
// called from any number of threads at once.
//
// Refused: ML-KEM keys with a coefficient outside the field (FIPS 203 section 7.2), points that are
// not on P-256, points in any form but the uncompressed one, and X25519 shares that give an
// all-zero secret.
#pragma once

#include <cstdint>
#include <memory>

#include "core/bytes.hpp"
#include "core/error.hpp"
#include "core/secret.hpp"

namespace tacit::crypto {

// The numbers of IANA's "HPKE KEM Identifiers".
enum class KemId : std::uint16_t {
  dhkem_p256 = 0x0010,
  dhkem_x25519 = 0x0020,
  ml_kem_768 = 0x0041,
  mlkem768_x25519 = 0x647a,
};

// Sizes in bytes of what a KEM writes on the wire: Npk, Nsk, Nenc and Nsecret in RFC 9180. The
// private key of ml_kem_768 is the seed d || z, that of mlkem768_x25519 its 32-byte seed.
struct KemSizes {
  std::size_t public_key;
  std::size_t private_key;
  std::size_t enc;
  std::size_t shared_secret;
};

constexpr KemSizes kem_sizes(KemId id) noexcept {
  switch (id) {
    case KemId::dhkem_p256: return {65, 32, 65, 32};
    case KemId::dhkem_x25519: return {32, 32, 32, 32};
    case KemId::ml_kem_768: return {1184, 64, 1088, 32};
    case KemId::mlkem768_x25519: break;
  }
  return {1216, 32, 1120, 32};
}

// kem_id checks a number from the wire. Error: unsupported.
Result<KemId> kem_id(std::uint16_t number);

struct Encapsulation {
  Bytes enc;  // to the holder of the private key, in clear
  SecretBytes shared_secret;
};

class KemPublicKey {
 public:
  // Errors: malformed for a wrong size or a key that the KEM refuses.
  static Result<KemPublicKey> parse(KemId id, BytesView bytes);

  KemId id() const noexcept;
  // The bytes it was parsed from; they live as long as any copy of this key.
  BytesView bytes() const noexcept;

  // A new secret for the holder of the private key. Error: malformed for a public key with which
  // no secret can be agreed (X25519 points of low order).
  Result<Encapsulation> encapsulate() const;

  class Impl;

 private:
  friend struct KemAccess;
  explicit KemPublicKey(std::shared_ptr<const Impl> impl) noexcept;
  std::shared_ptr<const Impl> impl_;  // copies share it
};

// KemPrivateKey is movable and not copyable; its key material is wiped when it goes.
class KemPrivateKey {
 public:
  static KemPrivateKey generate(KemId id);
  // Errors: malformed for a wrong size or a private key that the KEM refuses.
  static Result<KemPrivateKey> parse(KemId id, BytesView private_key);
  // DeriveKeyPair of RFC 9180 and draft-ietf-hpke-pq: the same key from the same `ikm`, which is
  // secret and has all the key's entropy. Error: invalid_argument when it is shorter than 32 bytes.
  static Result<KemPrivateKey> derive(KemId id, BytesView ikm);

  ~KemPrivateKey();
  KemPrivateKey(KemPrivateKey&&) noexcept;
  KemPrivateKey& operator=(KemPrivateKey&&) noexcept;

  KemId id() const noexcept;
  BytesView public_bytes() const noexcept;
  // What parse() takes. A copy: yours to keep safe.
  SecretBytes private_bytes() const;

  // The secret that `enc` encapsulates. Error: malformed "encapsulated key" for a wrong size, a
  // point that is not on the curve, or an X25519 share of low order. Bytes that were altered
  // otherwise give another secret, not an error; what is sealed under it does not open.
  Result<SecretBytes> decapsulate(BytesView enc) const;

  class Impl;

 private:
  friend struct KemAccess;
  explicit KemPrivateKey(std::unique_ptr<const Impl> impl) noexcept;
  std::unique_ptr<const Impl> impl_;
};

}  // namespace tacit::crypto
