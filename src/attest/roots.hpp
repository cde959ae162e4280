// The vendors' root certificates, compiled in. Where each comes from: roots/README.md.
#pragma once

#include <cstdint>

#include "attest/x509.hpp"

namespace tacit::attest {

enum class RootId : std::uint8_t {
  intel_sgx,
  amd_ark_milan,
  amd_ark_genoa,
  amd_ark_turin,
  amd_ask_milan,  // intermediates that sign VCEKs and VLEKs, pinned with their roots
  amd_ask_genoa,
  amd_ask_turin,
  amd_asvk_milan,
  amd_asvk_genoa,
  amd_asvk_turin,
  nvidia_device,
  nvidia_rim,
  aws_nitro,
  azure_vtpm,
  google_ek_ak,
  intel_pck_platform_ca,  // intermediates of Intel: known, so that nobody checks them again
  intel_pck_processor_ca,
  intel_tcb_signing_2018,
  intel_tcb_signing_2025,
};
inline constexpr std::size_t kNumRoots = 19;

// Parsed once, at the first call; the reference lives as long as the program.
const CertificatePtr& root_certificate(RootId id);
// The built-in certificate of exactly these bytes; null when there is none.
CertificatePtr built_in_certificate(BytesView der);

}  // namespace tacit::attest
