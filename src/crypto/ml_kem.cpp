#include "crypto/ml_kem.hpp"

#include <openssl/core_names.h>
#include <openssl/params.h>

#include "core/secret.hpp"

namespace tacit::crypto {
namespace {

constexpr const char* kName = "ML-KEM-768";

// OpenSSL's parameters are not const, though it only reads these.
OSSL_PARAM octets(const char* name, BytesView bytes) {
  auto* data =
      const_cast<std::byte*>(bytes.data());  // NOLINT(cppcoreguidelines-pro-type-const-cast)
  return OSSL_PARAM_construct_octet_string(name, data, bytes.size());
}

}  // namespace

Pkey ml_kem_public(BytesView bytes) {
  Pkey key{EVP_PKEY_new_raw_public_key_ex(nullptr, kName, nullptr, ossl_data(bytes), bytes.size())};
  if (key == nullptr) forget_errors();
  return key;
}

Pkey ml_kem_private(BytesView seed) {
  must(seed.size() == kMlKemSeedBytes, "ML-KEM seed size");
  // Generation from a seed rather than import of one: the import tests the pair against itself,
  // which costs as much as generating it.
  const PkeyContext context{EVP_PKEY_CTX_new_from_name(nullptr, kName, nullptr)};
  const OSSL_PARAM params[] = {octets(OSSL_PKEY_PARAM_ML_KEM_SEED, seed),
                               OSSL_PARAM_construct_end()};
  EVP_PKEY* key = nullptr;
  must(context != nullptr && EVP_PKEY_keygen_init(context.get()) == 1 &&
           EVP_PKEY_CTX_set_params(context.get(), params) == 1 &&
           EVP_PKEY_generate(context.get(), &key) == 1,
       "EVP_PKEY_generate");
  return Pkey{key};
}

Pkey ml_kem_private_expanded(BytesView expanded) {
  if (expanded.size() != kMlKemExpandedBytes) return nullptr;
  Pkey key{EVP_PKEY_new_raw_private_key_ex(nullptr, kName, nullptr, ossl_data(expanded),
                                           expanded.size())};
  if (key == nullptr) forget_errors();
  return key;
}

void ml_kem_public_bytes(EVP_PKEY* key, std::span<std::byte> out) {
  std::size_t size = out.size();
  must(EVP_PKEY_get_raw_public_key(key, ossl_data(out), &size) == 1 && size == out.size(),
       "EVP_PKEY_get_raw_public_key");
}

void ml_kem_encapsulate(EVP_PKEY* key, std::optional<BytesView> m, std::span<std::byte> ciphertext,
                        std::span<std::byte> secret) {
  const PkeyContext context{EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr)};
  const OSSL_PARAM params[] = {octets(OSSL_KEM_PARAM_IKME, m.value_or(BytesView{})),
                               OSSL_PARAM_construct_end()};
  std::size_t ciphertext_size = ciphertext.size();
  std::size_t secret_size = secret.size();
  must(context != nullptr &&
           EVP_PKEY_encapsulate_init(context.get(), m.has_value() ? params : nullptr) == 1 &&
           EVP_PKEY_encapsulate(context.get(), ossl_data(ciphertext), &ciphertext_size,
                                ossl_data(secret), &secret_size) == 1 &&
           ciphertext_size == ciphertext.size() && secret_size == secret.size(),
       "EVP_PKEY_encapsulate");
}

bool ml_kem_decapsulate(EVP_PKEY* key, BytesView ciphertext, std::span<std::byte> secret) {
  if (ciphertext.size() != kMlKemCiphertextBytes) return false;
  const PkeyContext context{EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr)};
  std::size_t size = secret.size();
  must(context != nullptr && EVP_PKEY_decapsulate_init(context.get(), nullptr) == 1 &&
           EVP_PKEY_decapsulate(context.get(), ossl_data(secret), &size, ossl_data(ciphertext),
                                ciphertext.size()) == 1 &&
           size == secret.size(),
       "EVP_PKEY_decapsulate");
  return true;
}

}  // namespace tacit::crypto
