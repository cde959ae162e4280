// Whether Intel vouches for a statement (TCB info, identity of an enclave), and whether it has
// revoked a certificate. Private to this module.
#pragma once

#include "attest/appraisal.hpp"
#include "attest/collateral.hpp"
#include "attest/trust.hpp"

namespace tacit::attest {

// With what statements and certificates of Intel are judged.
struct IntelTrust {
  const Collateral& collateral;
  UnixTime now;
  SignatureMemory& memory;
  // Without a list: true refuses when other collateral is there, because it is incomplete then, and
  // cannot tell when there is none; false warns.
  bool require_crl = true;
};

void check_intel_revocation(const Certificate& certificate, const Certificate& issuer,
                            const IntelTrust& trust, Appraisal& out);
// Dates, the signature of one of Intel's TCB signing certificates at hand, and that certificate.
// True when all is well; adds reasons otherwise.
bool check_intel_statement(const IntelStatement& statement, const IntelTrust& trust,
                           Appraisal& out);

}  // namespace tacit::attest
