// Azure's confidential VMs: an HCL report, which carries a hardware report over the runtime data
// that name the vTPM's attestation key, alone or with a quote of that vTPM (and a TD quote).
#pragma once

#include "attest/evidence.hpp"

namespace tacit::attest {

enum class HclKind : std::uint8_t { snp, tdx };

struct HclReport {
  HclKind kind = HclKind::snp;
  BytesView hardware;  // the SNP report, or the TDREPORT with its padding
  BytesView runtime;   // JSON, whose SHA-256 the hardware report names
};

bool is_hcl_report(BytesView bytes) noexcept;
// Everything that no signature covers must be as Azure writes it. Errors: malformed, unsupported.
Result<HclReport> parse_hcl_report(BytesView bytes);
// The key "HCLAkPub" of the runtime data. Errors: malformed.
Result<crypto::VerifyingKey> attestation_key(const HclReport& report);

// Raw HCL reports, and the JSON of attestation agents ("hcl_report", "tpm_quote", "vcek",
// "td_quote"; the older one has "report" and "quote").
std::optional<Result<std::vector<EvidencePtr>>> find_azure(const Document& document);
// An HCL report, the quote of its vTPM, and the TD quote are one machine's evidence, also when they
// are files of their own.
void combine_azure(Gathered& gathered);

}  // namespace tacit::attest
