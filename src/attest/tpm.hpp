// TPM 2.0 quotes on their own.
#pragma once

#include "attest/evidence.hpp"

namespace tacit::attest {

// JSON with "message", "signature" and "pcrs", alone or as "tpm_quote" beside "ak_public"; and bare
// TPMS_ATTEST structures, which nobody signed. The attestation key must be certified by a
// certificate in the collateral that chains to a pinned root of vTPMs; a key that only comes along
// proves no TPM.
std::optional<Result<std::vector<EvidencePtr>>> find_tpm(const Document& document);
// A bare quote takes a file that can only be its signature: as long as one of RSA, or a
// TPMT_SIGNATURE.
void combine_tpm(Gathered& gathered);

}  // namespace tacit::attest
