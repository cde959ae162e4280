// The key schedule of HPKE. Private.
#pragma once

#include "crypto/hpke.hpp"

namespace tacit::crypto {

struct HpkeSchedule {
  SecretBytes key;  // empty for export_only
  AeadNonce base_nonce{};
  SecretBytes exporter_secret;
};

// RFC 9180 section 5.1 with HKDF, draft-ietf-hpke-hpke section 5.1 with SHAKE. Errors: as
// HpkeSender::setup about the inputs.
Result<HpkeSchedule> hpke_schedule(const HpkeSuite& suite, BytesView shared_secret, BytesView info,
                                   std::optional<HpkePsk> psk);

Result<SecretBytes> hpke_export(const HpkeSuite& suite, BytesView exporter_secret,
                                BytesView context, std::size_t n);

}  // namespace tacit::crypto
