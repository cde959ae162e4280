#include "attest/tpm.hpp"

#include <algorithm>
#include <array>

#include "attest/checks.hpp"
#include "attest/oids.hpp"
#include "attest/roots.hpp"
#include "attest/tpm_json.hpp"

namespace tacit::attest {
namespace {

struct TpmParts {
  Bytes bare;  // a TPMS_ATTEST without a signature
  std::optional<TpmJsonQuote> quote;
  std::optional<crypto::VerifyingKey> own_key;
};

// Whether `certificate` leads to a pinned root of vTPMs over what is in the collateral.
bool is_certified(const CertificatePtr& certificate, const Context& context) {
  const std::array<BytesView, 3> understood{oid::kExtendedKeyUsage, oid::kSubjectAlternativeName,
                                            oid::kCertificatePolicies};
  for (const auto id : {RootId::azure_vtpm, RootId::google_ek_ak}) {
    const auto& root = *root_certificate(id);
    std::vector<CertificatePtr> chain{certificate};
    while (chain.size() < kChainLengthMax && !equal(chain.back()->issuer, root.subject)) {
      const auto& all = context.collateral.certificates;
      const auto next = std::ranges::find_if(all, [&](const CertificatePtr& c) {
        return equal(c->subject, chain.back()->issuer) && context.now >= c->not_before &&
               context.now <= c->not_after;
      });
      if (next == all.end()) break;
      chain.push_back(*next);
    }
    Appraisal scratch{"", ""};
    if (chain_to_root(chain, root, {context.now, understood}, context.memory, "tpm-key", scratch))
      return true;
  }
  return false;
}

class TpmEvidence final : public Evidence {
 public:
  explicit TpmEvidence(TpmParts parts) : parts_{std::move(parts)} {}
  std::string_view kind() const override { return "tpm"; }
  void appraise(const Context& context, Appraisal& out) const override {
    if (!parts_.quote) {
      const auto parsed = parse_tpm_quote(parts_.bare);
      if (!parsed) out.reject("format", "a well-formed TPM quote", parsed.error());
      out.cannot_tell("tpm-signature", "the quote's signature", "none: this quote is unsigned");
      return;
    }
    const auto parsed = parse_tpm_quote(parts_.quote->message);
    if (!parsed) {
      out.reject("format", "a well-formed TPM quote", parsed.error());
      return;
    }
    const auto& all = context.collateral.certificates;
    const auto signer = std::ranges::find_if(all, [&](const CertificatePtr& c) {
      return !c->is_ca && verify_tpm_quote(*parsed, parts_.quote->signature, *c->key);
    });
    if (signer == all.end()) {
      if (parts_.own_key) check_tpm_quote(*parts_.quote, *parts_.own_key, context, out);
      out.cannot_tell("tpm-key", "a certificate for the TPM's attestation key",
                      "none: a key that comes with the quote proves no TPM");
      return;
    }
    if (!check_tpm_quote(*parts_.quote, *(*signer)->key, context, out)) return;
    if (!is_certified(*signer, context)) {
      out.reject("tpm-key", "a certificate that chains to a known root of TPMs", "it does not");
      return;
    }
    if (context.report_data)
      out.reject("report-data", "evidence with report data", "a TPM quote has none");
    if (context.policy.tpm.values.empty()) check_values({}, {}, {}, context, out);
    out.warn("vtpm-trusts-host",
             "A virtual TPM is software of the cloud: alone, it proves what that cloud says.");
    out.complete();
  }

 private:
  TpmParts parts_;
};

}  // namespace

std::optional<Result<std::vector<EvidencePtr>>> find_tpm(const Document& document) {
  std::vector<EvidencePtr> all;
  TpmParts parts;
  if (is_tpm_quote(document.bytes)) {
    parts.bare.assign(document.bytes.begin(), document.bytes.end());
    all.push_back(std::make_unique<TpmEvidence>(std::move(parts)));
    return all;
  }
  if (!document.is_json) return std::nullopt;
  const auto value = parse_json(as_text(document.raw));
  if (!value || !value->is_object()) return std::nullopt;
  const auto& object = value->get_object();
  const auto* quote = object_member(object, "tpm_quote");
  if (quote == nullptr) quote = &object;
  if (!quote->contains("message") || !quote->contains("pcrs")) return std::nullopt;
  TACIT_TRY(parts.quote, read_tpm_json(*quote));
  if (const auto* key = object.if_contains("ak_public")) {
    const auto der = tpm_json_bytes(*key);
    if (!der) return fail(Code::malformed, "attestation key in JSON");
    TACIT_TRY(parts.own_key, crypto::VerifyingKey::parse_spki(*der));
  }
  all.push_back(std::make_unique<TpmEvidence>(std::move(parts)));
  return all;
}

}  // namespace tacit::attest
