// What only test vectors may do with signatures. In tacit_crypto_testing, which no product links.
#pragma once

#include "crypto/sign.hpp"

namespace tacit::crypto::testing {

// ML-DSA without fresh randomness; the message may be its representative mu (64 bytes).
Result<Bytes> ml_dsa_sign_deterministic(const SigningKey& key, BytesView message, BytesView context,
                                        bool message_is_mu = false);

// From the expanded private key of FIPS 204. Error: malformed.
Result<SigningKey> ml_dsa_from_expanded(KeyKind kind, BytesView expanded);

}  // namespace tacit::crypto::testing
