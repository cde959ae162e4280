// How Oblivious HTTP (RFC 9458 section 4.4), its chunked form and EHBP key an answer: from a secret
// that the request's HPKE context exports, the encapsulated key and a fresh nonce.
#pragma once

#include "core/bytes.hpp"
#include "core/secret.hpp"
#include "crypto/aead.hpp"
#include "crypto/hpke.hpp"

namespace tacit::seal {

struct ResponseKeys {
  SecretBytes key;
  crypto::AeadNonce base_nonce{};
};
// `secret` is the exported one. The KDF is HKDF-SHA256. Error: unsupported for export_only.
Result<ResponseKeys> response_keys(crypto::AeadId aead, BytesView secret, BytesView enc,
                                   BytesView nonce);

// The size of the secret and of the nonce in Oblivious HTTP: max(Nn, Nk).
constexpr std::size_t response_nonce_bytes(crypto::AeadId aead) noexcept {
  const auto key = crypto::aead_key_bytes(aead);
  return key > crypto::kAeadNonceBytes ? key : crypto::kAeadNonceBytes;
}

// What seals the answer, or opens it: `label` is what the protocol exports the secret under.
// Errors: as HpkeContext::export_secret and response_keys().
Result<crypto::AeadSequence> response_sequence(const crypto::HpkeContext& request,
                                               std::string_view label, BytesView enc,
                                               BytesView nonce);

}  // namespace tacit::seal
