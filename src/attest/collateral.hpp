// Everything that vouches for evidence and does not come from the machine that is appraised:
// certificates, revocation lists, Intel's statements, NVIDIA's reference values. Read from bytes,
// recognised by content, trusted only after its own signatures and dates were checked where it is
// used: who delivered it does not matter.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "attest/event_log.hpp"
#include "attest/intel_collateral.hpp"
#include "attest/rim.hpp"
#include "attest/x509.hpp"

namespace tacit::attest {

inline constexpr std::size_t kCollateralItemsMax = 1024;

// Cheap to copy: what was parsed is shared and does not change.
struct Collateral {
  std::vector<CertificatePtr> certificates;
  std::vector<CrlPtr> crls;
  std::vector<std::shared_ptr<const TcbInfo>> tcb_infos;
  std::vector<std::shared_ptr<const QeIdentity>> qe_identities;
  std::vector<std::shared_ptr<const Rim>> rims;
  std::vector<EventLogPtr> event_logs;  // the machine's own; believed as far as registers confirm

  // Takes what `bytes` hold: a certificate or revocation list (DER or PEM), a response of Intel's
  // Provisioning Certification Service, the JSON that quote libraries exchange, a RIM, an event
  // log. Errors: malformed when it is one of these but broken; not_found when it is none of them.
  // `named` is false for files that were found in a folder: a store of reference values for other
  // machines is no contradiction, where one that was named for this machine is.
  Result<void> add(BytesView bytes, bool named = true);
};

}  // namespace tacit::attest
