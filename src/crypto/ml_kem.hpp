// ML-KEM-768 (FIPS 203) over OpenSSL's key objects. Private.
#pragma once

#include <optional>

#include "crypto/ossl.hpp"

namespace tacit::crypto {

inline constexpr std::size_t kMlKemPublicBytes = 1184;
inline constexpr std::size_t kMlKemSeedBytes = 64;        // d || z
inline constexpr std::size_t kMlKemExpandedBytes = 2400;  // the decapsulation key of FIPS 203
inline constexpr std::size_t kMlKemCiphertextBytes = 1088;
inline constexpr std::size_t kMlKemMessageBytes = 32;  // m
inline constexpr std::size_t kMlKemSecretBytes = 32;

// Null when the bytes are no encapsulation key (the size, or the modulus check of section 7.2).
Pkey ml_kem_public(BytesView bytes);
// From the seed, of kMlKemSeedBytes.
Pkey ml_kem_private(BytesView seed);
// From the expanded decapsulation key; null when it fails the hash check of section 7.3.
Pkey ml_kem_private_expanded(BytesView expanded);

void ml_kem_public_bytes(EVP_PKEY* key, std::span<std::byte> out);

// Writes ciphertext and secret, from `m` when it is given and from fresh randomness otherwise.
void ml_kem_encapsulate(EVP_PKEY* key, std::optional<BytesView> m, std::span<std::byte> ciphertext,
                        std::span<std::byte> secret);
// An altered ciphertext gives an unpredictable secret (implicit rejection). False for a wrong size.
bool ml_kem_decapsulate(EVP_PKEY* key, BytesView ciphertext, std::span<std::byte> secret);

}  // namespace tacit::crypto
