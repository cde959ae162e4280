#include "seal/response_keys.hpp"

#include "crypto/hkdf.hpp"

namespace tacit::seal {

Result<ResponseKeys> response_keys(crypto::AeadId aead, BytesView secret, BytesView enc,
                                   BytesView nonce) {
  const auto key_bytes = crypto::aead_key_bytes(aead);
  if (key_bytes == 0) return fail(Code::unsupported, "answers need an AEAD");
  Bytes salt{enc.begin(), enc.end()};
  salt.insert(salt.end(), nonce.begin(), nonce.end());
  crypto::Hkdf hkdf{crypto::HashId::sha256};
  SecretBytes prk{hkdf.prk_bytes()};
  hkdf.extract(salt, {secret}, prk.reveal_mutable());
  ResponseKeys keys{SecretBytes{key_bytes}, {}};
  TACIT_CHECK(hkdf.expand(prk.reveal(), {as_bytes("key")}, keys.key.reveal_mutable()));
  TACIT_CHECK(hkdf.expand(prk.reveal(), {as_bytes("nonce")}, keys.base_nonce));
  return keys;
}

Result<crypto::AeadSequence> response_sequence(const crypto::HpkeContext& request,
                                               std::string_view label, BytesView enc,
                                               BytesView nonce) {
  const auto aead = request.suite().aead;
  TACIT_TRY(const auto secret, request.export_secret(as_bytes(label), response_nonce_bytes(aead)));
  TACIT_TRY(const auto keys, response_keys(aead, secret.reveal(), enc, nonce));
  return crypto::AeadSequence::make(aead, keys.key.reveal(), keys.base_nonce);
}

}  // namespace tacit::seal
