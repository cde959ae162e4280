#include "crypto/testing/sign_testing.hpp"

#include "crypto/sign_impl.hpp"

namespace tacit::crypto::testing {

Result<Bytes> ml_dsa_sign_deterministic(const SigningKey& key, BytesView message, BytesView context,
                                        bool message_is_mu) {
  return sign_with(SignAccess::impl(key), SignatureScheme::ml_dsa, message, context,
                   {.deterministic = true, .message_is_mu = message_is_mu});
}

Result<SigningKey> ml_dsa_from_expanded(KeyKind kind, BytesView expanded) {
  Pkey key{EVP_PKEY_new_raw_private_key_ex(nullptr, key_algorithm(kind), nullptr,
                                           ossl_data(expanded), expanded.size())};
  if (key == nullptr) {
    forget_errors();
    return fail(Code::malformed, "private key");
  }
  return SignAccess::wrap(std::move(key), kind);
}

}  // namespace tacit::crypto::testing
