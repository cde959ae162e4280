// What only test vectors may do with KEMs: choose the randomness, and see the primitives inside.
// In a library of its own, tacit_crypto_testing, which no product links.
#pragma once

#include "crypto/kem.hpp"

namespace tacit::crypto::testing {

// Encapsulates from given randomness: ikmE of DHKEM vectors, m of ML-KEM, eseed of X-Wing.
Result<Encapsulation> encapsulate_from(const KemPublicKey& key, BytesView randomness);

// The bare agreements. Errors: malformed for refused keys and all-zero results.
Result<SecretBytes> x25519(BytesView private_key, BytesView public_key);
Result<SecretBytes> ecdh_p256(BytesView private_key, BytesView public_key);

// ML-KEM-768 with the expanded decapsulation key of FIPS 203.
Result<Bytes> ml_kem_expanded_key(BytesView seed);
Result<SecretBytes> ml_kem_decapsulate_expanded(BytesView expanded, BytesView ciphertext);

}  // namespace tacit::crypto::testing
