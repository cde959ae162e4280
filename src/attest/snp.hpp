// AMD SEV-SNP reports as evidence.
#pragma once

#include "attest/evidence.hpp"
#include "attest/snp_report.hpp"

namespace tacit::attest {

// Every check on a parsed report but what its report data is bound to, which the caller knows
// (check_report_data). `certificates` are those that came with the report, beside the collateral.
void appraise_snp_report(const SnpReport& report, std::span<const CertificatePtr> certificates,
                         const Context& context, Appraisal& out);
std::optional<Result<std::vector<EvidencePtr>>> find_snp_report(const Document& document);

}  // namespace tacit::attest
