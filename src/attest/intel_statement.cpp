#include "attest/intel_statement.hpp"

#include <algorithm>
#include <array>

#include "attest/roots.hpp"

namespace tacit::attest {
namespace {

using crypto::SignatureScheme;

constexpr std::string_view kTcbSigning = "Intel SGX TCB Signing";

// Every TCB signing certificate at hand; the same key has been certified more than once.
std::vector<CertificatePtr> signers(const Collateral& collateral) {
  std::vector<CertificatePtr> out;
  const auto take = [&](const std::vector<CertificatePtr>& chain) {
    for (const auto& one : chain) {
      const bool known = std::ranges::any_of(
          out, [&](const CertificatePtr& c) { return std::ranges::equal(c->der, one->der); });
      if (!known && one->common_name() == kTcbSigning) out.push_back(one);
    }
  };
  take(collateral.certificates);
  for (const auto& info : collateral.tcb_infos) take(info->issuer_chain);
  for (const auto& identity : collateral.qe_identities) take(identity->issuer_chain);
  return out;
}

bool is_signed_by(const IntelStatement& statement, const CertificatePtr& signer,
                  const IntelTrust& trust, Appraisal& out) {
  const auto& root = *root_certificate(RootId::intel_sgx);
  const std::array chain{signer};
  if (!chain_to_root(chain, root, {trust.now}, trust.memory, "tcb-signer", out) || signer->is_ca)
    return false;
  check_intel_revocation(*signer, root, trust, out);
  if (!trust.memory.verify(*signer->key, SignatureScheme::ecdsa_sha256_raw,
                           as_bytes(statement.signed_text), statement.signature))
    out.reject("collateral-signature", statement.id + " signed by Intel's TCB signing key",
               "its signature does not verify");
  return out.reasons().empty();
}

}  // namespace

void check_intel_revocation(const Certificate& certificate, const Certificate& issuer,
                            const IntelTrust& trust, Appraisal& out) {
  const auto answer =
      revocation_of(certificate, issuer, trust.collateral.crls, trust.now, trust.memory);
  if (answer.state == Revocation::good) return;
  const auto what = "a revocation list in force that clears \"" + certificate.common_name() + "\"";
  // A list that is there but not in force is expired (or future) collateral; none beside other
  // collateral makes that incomplete.
  const bool incomplete =
      !trust.collateral.tcb_infos.empty() || !trust.collateral.qe_identities.empty();
  if (answer.state == Revocation::revoked || answer.why.starts_with("the list"))
    out.reject("revocation", what, answer.why);
  else if (!trust.require_crl)
    out.warn("revocation-unknown",
             "No revocation list in force was given: a revoked platform would not be noticed.");
  else if (incomplete)
    out.reject("revocation", what, answer.why);
  else
    out.cannot_tell("revocation", what, answer.why);
}

bool check_intel_statement(const IntelStatement& statement, const IntelTrust& trust,
                           Appraisal& out) {
  if (trust.now < statement.issue_date || trust.now > statement.next_update) {
    out.reject("collateral-dates", "collateral in force at " + format_time(trust.now),
               statement.id + " is in force from " + format_time(statement.issue_date) + " to " +
                   format_time(statement.next_update));
    return false;
  }
  const auto candidates = signers(trust.collateral);
  Appraisal problems{"", ""};
  for (const auto& signer : candidates) {
    Appraisal scratch{"", ""};
    if (is_signed_by(statement, signer, trust, scratch)) return true;
    problems = std::move(scratch);
  }
  if (candidates.empty())
    out.cannot_tell("tcb-signer", "the certificate of Intel's TCB signing key", "none was given");
  for (const auto& reason : problems.reasons()) {
    // The rule of a reason is a literal; these are the ones that the loop above can add.
    if (reason.verdict == Verdict::reject && reason.rule == "revocation")
      out.reject("revocation", reason.expected, reason.actual);
    else if (reason.verdict == Verdict::reject)
      out.reject("collateral-signature", reason.expected, reason.actual);
    else
      out.cannot_tell("revocation", reason.expected, reason.actual);
  }
  if (!candidates.empty() && problems.reasons().empty())
    out.reject("tcb-signer", "a TCB signing certificate that is no authority", "one that is");
  return false;
}

}  // namespace tacit::attest
