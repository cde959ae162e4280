#include "crypto/testing/kem_testing.hpp"

#include <openssl/core_names.h>

#include "crypto/ecdh.hpp"
#include "crypto/kem_impl.hpp"
#include "crypto/ml_kem.hpp"

namespace tacit::crypto::testing {
namespace {

Result<SecretBytes> agree(const Pkey& mine, const Pkey& peer) {
  if (mine == nullptr || peer == nullptr) return fail(Code::malformed, "key");
  SecretBytes secret{32};
  if (!diffie_hellman(mine.get(), peer.get(), secret.reveal_mutable())) {
    return fail(Code::malformed, "all-zero secret");
  }
  return secret;
}

}  // namespace

Result<Encapsulation> encapsulate_from(const KemPublicKey& key, BytesView randomness) {
  return KemAccess::impl(key).encapsulate_from(randomness);
}

Result<SecretBytes> x25519(BytesView private_key, BytesView public_key) {
  return agree(x25519_private_key(private_key), x25519_public_key(public_key));
}

Result<SecretBytes> ecdh_p256(BytesView private_key, BytesView public_key) {
  return agree(p256_private_key(private_key), p256_public_key(public_key));
}

Result<Bytes> ml_kem_expanded_key(BytesView seed) {
  if (seed.size() != kMlKemSeedBytes) return fail(Code::malformed, "seed size");
  const auto key = ml_kem_private(seed);
  Bytes expanded(kMlKemExpandedBytes);
  std::size_t size = expanded.size();
  must(EVP_PKEY_get_raw_private_key(key.get(), ossl_data(std::span<std::byte>{expanded}), &size) ==
               1 &&
           size == expanded.size(),
       "EVP_PKEY_get_raw_private_key");
  return expanded;
}

Result<SecretBytes> ml_kem_decapsulate_expanded(BytesView expanded, BytesView ciphertext) {
  const auto key = ml_kem_private_expanded(expanded);
  if (key == nullptr) return fail(Code::malformed, "decapsulation key");
  SecretBytes secret{kMlKemSecretBytes};
  if (!ml_kem_decapsulate(key.get(), ciphertext, secret.reveal_mutable())) {
    return refused_encapsulation();
  }
  return secret;
}

}  // namespace tacit::crypto::testing
