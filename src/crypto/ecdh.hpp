// Keys on elliptic curves, and Diffie-Hellman on X25519 (RFC 7748) and P-256 (SP 800-56A), over
// OpenSSL's key objects. Private.
#pragma once

#include "crypto/ossl.hpp"

namespace tacit::crypto {

// Public keys: the 32 bytes of RFC 7748, or an uncompressed point on the curve. Null when the bytes
// are no such key.
Pkey x25519_public_key(BytesView bytes);
Pkey p256_public_key(BytesView bytes);
Pkey p384_public_key(BytesView bytes);

// Private keys with their public part, computed here: 32 bytes, for P-256 a big-endian number from
// 1 to n - 1, null otherwise.
Pkey x25519_private_key(BytesView bytes);
Pkey p256_private_key(BytesView bytes);

// Writes the public part, which must have exactly out.size() bytes.
void x25519_public_bytes(EVP_PKEY* key, std::span<std::byte> out);
void ec_public_bytes(EVP_PKEY* key, std::span<std::byte> out);

// Writes the 32-byte shared secret. False when there is none: an all-zero X25519 result. `peer` was
// made by the functions above, so it is on the curve.
bool diffie_hellman(EVP_PKEY* mine, EVP_PKEY* peer, std::span<std::byte> out);

}  // namespace tacit::crypto
