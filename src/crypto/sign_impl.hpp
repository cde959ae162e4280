// Keys and schemes behind sign.hpp. Private.
#pragma once

#include <utility>

#include "crypto/ossl.hpp"
#include "crypto/sign.hpp"

namespace tacit::crypto {

class VerifyingKey::Impl {
 public:
  KeyKind kind{};
  Pkey key;
  Bytes spki;
  std::size_t raw_bytes = 0;  // the last ones of `spki`
};

class SigningKey::Impl {
 public:
  explicit Impl(Pkey private_key, VerifyingKey public_key)
      : key{std::move(private_key)}, verifying{std::move(public_key)} {}
  Pkey key;
  VerifyingKey verifying;
};

struct SignAccess {
  static const VerifyingKey::Impl& impl(const VerifyingKey& key) { return *key.impl_; }
  static const SigningKey::Impl& impl(const SigningKey& key) { return *key.impl_; }
  // From a private key whose kind is known; reads its public part.
  static SigningKey wrap(Pkey key, KeyKind kind);
};

// OpenSSL's name of a kind that is a whole algorithm: not for ECDSA and RSA.
const char* key_algorithm(KeyKind kind) noexcept;

// How signatures are made in test vectors.
struct SignOptions {
  bool deterministic = false;  // ML-DSA without fresh randomness
  bool message_is_mu = false;  // ML-DSA over the message's representative
};
Result<Bytes> sign_with(const SigningKey::Impl& key, SignatureScheme scheme, BytesView message,
                        BytesView context, SignOptions options);

// The DER inside PEM of this label, which the text starts with. Error: malformed.
Result<SecretBytes> pem_decode(std::string_view text, std::string_view label);
void pem_encode(BytesView der, std::string_view label, SecretText& out);

}  // namespace tacit::crypto
