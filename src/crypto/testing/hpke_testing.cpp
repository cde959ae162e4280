#include "crypto/testing/hpke_testing.hpp"

#include "crypto/hpke_impl.hpp"
#include "crypto/hpke_schedule.hpp"
#include "crypto/testing/kem_testing.hpp"

namespace tacit::crypto::testing {

Result<HpkeSender> setup_sender_from(const HpkeSuite& suite, const KemPublicKey& key,
                                     BytesView info, std::optional<HpkePsk> psk,
                                     BytesView randomness) {
  TACIT_TRY(auto made, encapsulate_from(key, randomness));
  return HpkeAccess::sender(suite, std::move(made), info, psk);
}

Result<HpkeSecrets> hpke_secrets(const HpkeSuite& suite, BytesView shared_secret, BytesView info,
                                 std::optional<HpkePsk> psk) {
  TACIT_TRY(auto schedule, hpke_schedule(suite, shared_secret, info, psk));
  return HpkeSecrets{std::move(schedule.key), schedule.base_nonce,
                     std::move(schedule.exporter_secret)};
}

}  // namespace tacit::crypto::testing
