// Everything that vouches for evidence and does not come from the machine that is appraised:
// certificates, revocation lists, Intel's statements, NVIDIA's reference values. Read from bytes,
// recognised by content, trusted only after its own signatures and dates were checked where it is
// used: who delivered it does not matter.
#pragma once

#include <string>
#include <vector>

#include "attest/intel_collateral.hpp"
#include "attest/rim.hpp"
#include "attest/x509.hpp"

namespace tacit::attest {

inline constexpr std::size_t kCollateralItemsMax = 1024;

struct Collateral {
  std::vector<CertificatePtr> certificates;
  std::vector<CrlPtr> crls;
  std::vector<TcbInfo> tcb_infos;
  std::vector<QeIdentity> qe_identities;
  std::vector<Rim> rims;

  // Takes what `bytes` hold: a certificate or revocation list (DER or PEM), a response of Intel's
  // Provisioning Certification Service, the JSON that quote libraries exchange, a RIM. Errors:
  // malformed when it is one of these but broken; not_found when it is none of them.
  Result<void> add(BytesView bytes);
};

}  // namespace tacit::attest
