// How contexts are built from a shared secret. Private.
#pragma once

#include "crypto/hpke.hpp"

namespace tacit::crypto {

struct HpkeAccess {
  // The sender with an encapsulation that was made beforehand. `suite.kem` made it.
  static Result<HpkeSender> sender(const HpkeSuite& suite, Encapsulation made, BytesView info,
                                   std::optional<HpkePsk> psk);
  static Result<HpkeReceiver> receiver(const HpkeSuite& suite, BytesView shared_secret,
                                       BytesView info, std::optional<HpkePsk> psk);
};

}  // namespace tacit::crypto
