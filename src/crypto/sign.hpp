// Signatures: Ed25519 (RFC 8032), ECDSA on P-256 and P-384 (FIPS 186-5), RSA (RFC 8017; verifying
// only) and ML-DSA-44 and -65 (FIPS 204), over OpenSSL.
//
// Strict: one accepted encoding of every key and signature. SubjectPublicKeyInfo (RFC 5280) is DER
// with the algorithm identifiers of RFC 8410, 5480, 3279 and 9881; points are uncompressed; RSA
// moduli have 2048 to 8192 bits. Ed25519 keys that are not canonical or of small order are refused,
// because under them one signature can fit many messages.
//
// Keys do not change after construction; const functions may be called from any number of threads.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/bytes.hpp"
#include "core/error.hpp"
#include "core/secret.hpp"

namespace tacit::crypto {

enum class KeyKind : std::uint8_t { ed25519, ecdsa_p256, ecdsa_p384, rsa, ml_dsa_44, ml_dsa_65 };

// SignatureScheme is what the two sides agreed on beside the key. `_raw` is r || s (IEEE P1363,
// JOSE, COSE, TDX); `_der` is the SEQUENCE of X.509 and TLS. RSA-PSS uses the same hash for message
// and mask, and a salt of the hash's size. ML-DSA is the pure version, with a context.
enum class SignatureScheme : std::uint8_t {
  ed25519,
  ecdsa_sha256_der,
  ecdsa_sha256_raw,
  ecdsa_sha384_der,
  ecdsa_sha384_raw,
  ecdsa_sha512_der,
  ecdsa_sha512_raw,
  rsa_pss_sha256,
  rsa_pss_sha384,
  rsa_pss_sha512,
  rsa_pkcs1_sha256,
  rsa_pkcs1_sha384,
  rsa_pkcs1_sha512,
  ml_dsa,
};

// Longest ML-DSA context (FIPS 204).
inline constexpr std::size_t kSignatureContextBytesMax = 255;

class VerifyingKey {
 public:
  // The bare public key: 32 bytes for Ed25519, 0x04 || x || y for ECDSA, pk for ML-DSA.
  // Errors: malformed; unsupported for RSA, which has no bare form.
  static Result<VerifyingKey> parse_raw(KeyKind kind, BytesView bytes);
  // Big-endian modulus and public exponent, with or without leading zeros. Errors: malformed;
  // unsupported for sizes outside the range above.
  static Result<VerifyingKey> from_rsa(BytesView modulus, BytesView exponent);
  // SubjectPublicKeyInfo. Errors: malformed; unsupported for other algorithms and sizes.
  static Result<VerifyingKey> parse_spki(BytesView der);
  // "-----BEGIN PUBLIC KEY-----" (RFC 7468) with nothing before it and only blank after its end.
  static Result<VerifyingKey> parse_pem(std::string_view text);

  KeyKind kind() const noexcept;
  // Exactly what parse_spki would take. Both views live as long as any copy of the key.
  BytesView spki() const noexcept;
  // What parse_raw would take; empty for RSA.
  BytesView raw() const noexcept;
  std::string pem() const;

  // Success, or Code::corrupt "signature does not verify", whatever the reason. A scheme that does
  // not fit the key, and a context with anything but ML-DSA or over its limit, are
  // invalid_argument.
  Result<void> verify(SignatureScheme scheme, BytesView message, BytesView signature,
                      BytesView context = {}) const;

  friend bool operator==(const VerifyingKey& a, const VerifyingKey& b) noexcept;

  class Impl;

 private:
  friend struct SignAccess;
  explicit VerifyingKey(std::shared_ptr<const Impl> impl) noexcept;
  std::shared_ptr<const Impl> impl_;  // copies share it
};

// SigningKey is movable and not copyable; its key material is wiped when it goes. Not for RSA.
class SigningKey {
 public:
  // Error: unsupported for RSA.
  static Result<SigningKey> generate(KeyKind kind);
  // The same key from the same 32-byte seed (RFC 8032, FIPS 204). Errors: unsupported for kinds
  // without one, malformed for another size.
  static Result<SigningKey> from_seed(KeyKind kind, BytesView seed);
  // PKCS#8 (RFC 5958), unencrypted. Errors: malformed, unsupported.
  static Result<SigningKey> parse_pkcs8(BytesView der);
  // "-----BEGIN PRIVATE KEY-----", with nothing before it and only blank after its end.
  static Result<SigningKey> parse_pem(std::string_view text);

  ~SigningKey();
  SigningKey(SigningKey&&) noexcept;
  SigningKey& operator=(SigningKey&&) noexcept;

  const VerifyingKey& verifying_key() const noexcept;
  SecretBytes pkcs8() const;
  SecretText pem() const;

  // ECDSA and ML-DSA signatures differ from call to call. Errors: invalid_argument, as verify.
  Result<Bytes> sign(SignatureScheme scheme, BytesView message, BytesView context = {}) const;

  class Impl;

 private:
  friend struct SignAccess;
  explicit SigningKey(std::unique_ptr<const Impl> impl) noexcept;
  std::unique_ptr<const Impl> impl_;
};

}  // namespace tacit::crypto
