// What only test vectors may do with HPKE: choose the randomness, and see the key schedule. In
// tacit_crypto_testing, which no product links.
#pragma once

#include "crypto/hpke.hpp"

namespace tacit::crypto::testing {

// As HpkeSender::setup, from given randomness (see encapsulate_from).
Result<HpkeSender> setup_sender_from(const HpkeSuite& suite, const KemPublicKey& key,
                                     BytesView info, std::optional<HpkePsk> psk,
                                     BytesView randomness);

struct HpkeSecrets {
  SecretBytes key;
  AeadNonce base_nonce{};
  SecretBytes exporter_secret;
};
Result<HpkeSecrets> hpke_secrets(const HpkeSuite& suite, BytesView shared_secret, BytesView info,
                                 std::optional<HpkePsk> psk);

}  // namespace tacit::crypto::testing
