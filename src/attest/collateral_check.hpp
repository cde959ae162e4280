// Collateral on its own: whether its signatures verify and it is in force. Private to this module.
#pragma once

#include <vector>

#include "attest/appraisal.hpp"
#include "attest/collateral.hpp"
#include "attest/trust.hpp"

namespace tacit::attest {

// For files that were given without any evidence: one piece for each that is wrong (its signature,
// its dates, its issuer), and one, "cannot tell", with a claim for each that is right. Certificates
// and lists of issuers that are not known here are named as such.
void check_collateral(const Collateral& collateral, UnixTime now, SignatureMemory& memory,
                      std::vector<Appraisal>& out);

}  // namespace tacit::attest
