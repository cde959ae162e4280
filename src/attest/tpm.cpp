#include "attest/tpm.hpp"

#include <algorithm>
#include <array>

#include "attest/checks.hpp"
#include "attest/json.hpp"
#include "attest/oids.hpp"
#include "attest/roots.hpp"
#include "attest/tpm_evidence.hpp"
#include "core/text.hpp"
#include "crypto/hash.hpp"

namespace tacit::attest {
namespace {

// Who says that the key is a TPM's.
enum class Standing : std::uint8_t { certified, pinned, unknown_issuer, refused };

// Whether `certificate` leads to a pinned root of vTPMs, or to one of the policy's, over what came
// along and the collateral.
Standing standing_of(const CertificatePtr& certificate, std::span<const CertificatePtr> from,
                     const Context& context, std::string& why) {
  const std::array<BytesView, 3> understood{oid::kExtendedKeyUsage, oid::kSubjectAlternativeName,
                                            oid::kCertificatePolicies};
  std::vector<CertificatePtr> roots{root_certificate(RootId::azure_vtpm),
                                    root_certificate(RootId::google_ek_ak)};
  const auto& more = context.policy.tpm.roots;
  roots.insert(roots.end(), more.begin(), more.end());
  auto standing = Standing::unknown_issuer;
  for (const auto& root : roots) {
    const auto chain = build_chain(certificate, from, *root, context.now, context.memory);
    // A chain that ends below a root's name is the right one, whatever is wrong with it.
    const bool about = equal(chain.back()->issuer, root->subject);
    Appraisal scratch{"", ""};
    if (chain_to_root(chain, *root, {context.now, understood}, context.memory, "tpm-key", scratch))
      return Standing::certified;
    if (about) {
      standing = Standing::refused;
      why = scratch.reasons().empty() ? "" : scratch.reasons()[0].actual;
    } else if (standing == Standing::unknown_issuer) {
      why = "no certificate of its issuer \"" + chain.back()->issuer_common_name() + "\"";
    }
  }
  return standing;
}

bool is_pinned(const crypto::VerifyingKey& key, const Context& context) {
  const auto name = crypto::sha256(key.spki());
  return std::ranges::any_of(context.policy.tpm.keys,
                             [&](const Bytes& one) { return equal(one, name); });
}

void judge(const TpmParts& parts, const crypto::VerifyingKey& key, Standing standing,
           const Context& context, Appraisal& out) {
  if (!check_tpm_quotes(parts, key, context, out)) return;
  out.claim("attestation_key", crypto::sha256(key.spki()), Source::hardware);
  if (context.report_data)
    out.reject("report-data", "evidence with report data", "a TPM quote has none");
  if (context.policy.tpm.values.empty()) check_values({}, {}, {}, context, out);
  if (standing == Standing::pinned)
    out.warn("tpm-key-pinned",
             "No certificate says that this key is a TPM's: the policy lists the key, and whoever "
             "wrote it vouches for it.");
  out.warn("vtpm-trusts-host",
           "A virtual TPM is software of the cloud: alone, it proves what that cloud says.");
  out.complete();
}

void appraise_signed(const TpmParts& parts, const Context& context, Appraisal& out) {
  auto all = parts.certificates;
  all.insert(all.end(), context.collateral.certificates.begin(),
             context.collateral.certificates.end());
  const auto parsed = parse_tpm_quote(parts.quotes[0].message);
  if (!parsed) {
    out.reject("format", "a well-formed TPM quote", parsed.error());
    return;
  }
  if (parts.own_key && is_pinned(*parts.own_key, context))
    return judge(parts, *parts.own_key, Standing::pinned, context, out);
  const auto signer = std::ranges::find_if(all, [&](const CertificatePtr& c) {
    return !c->is_ca && verify_tpm_quote(*parsed, parts.quotes[0].signature, *c->key);
  });
  if (signer == all.end()) {
    if (!parts.certificates.empty())
      out.reject("tpm-signature", "a quote signed by the key of its certificate", "another key's");
    else if (parts.own_key)
      check_tpm_quotes(parts, *parts.own_key, context, out);
    out.cannot_tell("tpm-key", "a certificate for the TPM's attestation key",
                    "none: a key that comes with the quote proves no TPM");
    return;
  }
  std::string why;
  const auto standing = is_pinned(*(*signer)->key, context)
                            ? Standing::pinned
                            : standing_of(*signer, all, context, why);
  const auto wanted = "a certificate of the attestation key that leads to a known root of TPMs";
  if (standing == Standing::refused) out.reject("tpm-key", wanted, why);
  if (standing == Standing::unknown_issuer) out.cannot_tell("tpm-key", wanted, why);
  judge(parts, *(*signer)->key, standing, context, out);
}

std::optional<Result<std::vector<EvidencePtr>>> one_piece(TpmParts parts) {
  std::vector<EvidencePtr> all;
  all.push_back(std::make_unique<TpmEvidence>(std::move(parts)));
  return all;
}

// The JSON of attestation agents: one quote, perhaps with the key and its certificate.
Result<TpmParts> from_json(const boost::json::object& object, const boost::json::object& quote) {
  TpmParts parts;
  TACIT_TRY(auto signed_quote, read_tpm_json(quote));
  parts.quotes.push_back(std::move(signed_quote));
  if (const auto* key = object.if_contains("ak_public")) {
    const auto der = tpm_json_bytes(*key);
    if (!der) return fail(Code::malformed, "attestation key in JSON");
    TACIT_TRY(parts.own_key, crypto::VerifyingKey::parse_spki(*der));
  }
  if (const auto* log = object.if_contains("event_log")) {
    const auto bytes = tpm_json_bytes(*log);
    if (!bytes) return fail(Code::malformed, "event log in JSON");
    TACIT_TRY(parts.log, parse_event_log(*bytes));
  }
  if (const auto pem = text_member(object, "ak_certificates")) {
    TACIT_TRY(parts.certificates, parse_certificate_chain(*pem));
  }
  return parts;
}

}  // namespace

bool TpmEvidence::is_signed_by(const crypto::VerifyingKey& key) const {
  return std::ranges::all_of(parts_.quotes, [&](const TpmSignedQuote& quote) {
    const auto parsed = parse_tpm_quote(quote.message);
    return parsed && verify_tpm_quote(*parsed, quote.signature, key);
  });
}

void TpmEvidence::appraise(const Context& context, Appraisal& out) const {
  const bool is_signed = std::ranges::none_of(
      parts_.quotes, [](const TpmSignedQuote& quote) { return quote.signature.empty(); });
  if (!parts_.quotes.empty() && is_signed) return appraise_signed(parts_, context, out);
  for (const auto& quote : parts_.quotes) {
    const auto parsed = parse_tpm_quote(quote.message);
    if (!parsed) out.reject("format", "a well-formed TPM quote", parsed.error());
  }
  out.cannot_tell("tpm-signature", "the quote's signature", "none: this quote is unsigned");
}

std::optional<Result<std::vector<EvidencePtr>>> find_tpm(const Document& document) {
  if (is_tpm_quote(document.bytes)) {
    TpmParts parts;
    parts.quotes.push_back(
        {{document.bytes.begin(), document.bytes.end()}, {}, std::vector<Bytes>(kTpmPcrs)});
    return one_piece(std::move(parts));
  }
  if (!document.is_json) return std::nullopt;
  const auto value = parse_json(as_text(document.raw));
  if (!value || !value->is_object()) return std::nullopt;
  const auto& object = value->get_object();
  if (object.contains("hcl_report")) return std::nullopt;  // Azure's
  const auto* quote = object_member(object, "tpm_quote");
  if (quote == nullptr) quote = &object;
  if (!quote->contains("message") || !quote->contains("pcrs")) return std::nullopt;
  TACIT_TRY(auto parts, from_json(object, *quote));
  return one_piece(std::move(parts));
}

void combine_tpm(Gathered& gathered) {
  for (auto& piece : gathered.pieces) {
    const auto* tpm = dynamic_cast<const TpmEvidence*>(piece.evidence.get());
    if (tpm == nullptr || tpm->parts().quotes.size() != 1 ||
        !tpm->parts().quotes[0].signature.empty())
      continue;
    const auto signature = std::ranges::find_if(
        gathered.unknown, [](const auto& file) { return is_tpm_signature(file.bytes); });
    if (signature == gathered.unknown.end()) continue;
    auto parts = tpm->parts();
    parts.quotes[0].signature.assign(signature->bytes.begin(), signature->bytes.end());
    piece.name += " + " + signature->name;
    piece.evidence = std::make_unique<TpmEvidence>(std::move(parts));
    gathered.unknown.erase(signature);
  }
}

}  // namespace tacit::attest
