// The one list of evidence formats, most specific first; what they join, they join in this order.
#include <array>

#include "attest/azure.hpp"
#include "attest/evidence.hpp"
#include "attest/google_attestation.hpp"
#include "attest/intel.hpp"
#include "attest/nitro.hpp"
#include "attest/nvidia.hpp"
#include "attest/snp.hpp"
#include "attest/tpm.hpp"

namespace tacit::attest {

std::span<const EvidenceFormat> evidence_formats() {
  static constexpr std::array kFormats{
      EvidenceFormat{"nitro", find_nitro},
      EvidenceFormat{"nvidia", find_nvidia},
      EvidenceFormat{"google-attestation", find_google_attestation},
      EvidenceFormat{"tpm", find_tpm, combine_tpm},
      EvidenceFormat{"azure", find_azure, combine_azure},
      EvidenceFormat{"sev-snp", find_snp_report},
      EvidenceFormat{"intel-quote", find_intel_quote},
  };
  return kFormats;
}

}  // namespace tacit::attest
