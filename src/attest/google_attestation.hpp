// Attestations of Google's tools for TPMs (go-tpm-tools, proto/attest.proto): quotes of every bank,
// PCRs, event log, attestation key with its certificates.
#pragma once

#include "attest/evidence.hpp"

namespace tacit::attest {

// The protocol buffer, or JSON with "ak_public_tpmt", "quotes" ("tpms_attest", "tpmt_signature",
// "pcrs" by number), "event_log", "ak_certificate_der", "intermediate_certificates_der".
std::optional<Result<std::vector<EvidencePtr>>> find_google_attestation(const Document& document);

}  // namespace tacit::attest
