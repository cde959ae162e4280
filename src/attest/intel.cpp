// Appraisal of Intel TDX and SGX quotes.
#include "attest/intel.hpp"

#include <algorithm>
#include <array>

#include "attest/checks.hpp"
#include "attest/event_log_check.hpp"
#include "attest/intel_statement.hpp"
#include "attest/intel_tcb.hpp"
#include "attest/json.hpp"
#include "attest/roots.hpp"
#include "core/text.hpp"
#include "crypto/hash.hpp"

namespace tacit::attest {
namespace {

using crypto::SignatureScheme;

constexpr std::string_view kPckLeaf = "Intel SGX PCK Certificate";
constexpr std::string_view kPlatformCa = "Intel SGX PCK Platform CA";
constexpr std::string_view kProcessorCa = "Intel SGX PCK Processor CA";
constexpr std::string_view kIntelVendorId = "939a7233f79c4ca9940a0db3957f0607";

// The PCK chain of one quote, verified, and the platform that its leaf describes.
struct Pck {
  std::vector<CertificatePtr> chain;
  PckPlatform platform;
};

IntelTrust trust_of(const Context& context, bool require_crl) {
  return {context.collateral, context.now, context.memory, require_crl};
}

std::optional<Pck> check_pck(const IntelQuote& quote, const Context& context,
                             const IntelPolicy& policy, Appraisal& out) {
  auto chain = context.memory.chain(as_text(quote.certificates));
  if (!chain) {
    out.reject("pck-chain", "a chain of certificates in the quote", chain.error());
    return std::nullopt;
  }
  const auto& root = *root_certificate(RootId::intel_sgx);
  if (chain->size() != 3) {
    out.reject("pck-chain", "leaf, intermediate and root", std::to_string(chain->size()));
    return std::nullopt;
  }
  const ChainRules rules{context.now, {}, Owner::machine};
  if (!chain_to_root(*chain, root, rules, context.memory, "pck-chain", out)) return std::nullopt;
  const auto& leaf = *(*chain)[0];
  const auto issuer = (*chain)[1]->common_name();
  if (leaf.common_name() != kPckLeaf || (issuer != kPlatformCa && issuer != kProcessorCa) ||
      leaf.is_ca || !leaf.may_sign_data() || (*chain)[2]->spki.size() != root.spki.size()) {
    out.reject("pck-chain", "a PCK certificate under Intel's PCK Platform or Processor CA",
               "\"" + leaf.common_name() + "\" under \"" + issuer + "\"");
    return std::nullopt;
  }
  auto platform = parse_pck_extension(leaf);
  if (!platform) {
    out.reject("pck-chain", "a PCK certificate that describes its platform", platform.error());
    return std::nullopt;
  }
  platform->multi_package = issuer == kPlatformCa;
  const auto trust = trust_of(context, policy.require_crl);
  check_intel_revocation(*(*chain)[1], root, trust, out);
  check_intel_revocation(leaf, *(*chain)[1], trust, out);
  return Pck{*std::move(chain), *std::move(platform)};
}

bool check_signatures(const IntelQuote& quote, const Certificate& pck, SignatureMemory& memory,
                      Appraisal& out) {
  if (!pck.key || pck.key->kind() != crypto::KeyKind::ecdsa_p256 ||
      !pck.key->verify(SignatureScheme::ecdsa_sha256_raw, quote.qe_report.whole,
                       quote.qe_report_signature)) {
    out.reject("qe-signature", "the quoting enclave's report signed by the PCK key",
               "its signature does not verify");
    return false;
  }
  std::array<std::byte, 32> bound{};
  crypto::digest(crypto::HashId::sha256, {quote.attestation_key, quote.qe_auth_data}, bound);
  if (!equal(quote.qe_report.report_data.first(32), bound) ||
      !all_zero(quote.qe_report.report_data.subspan(32))) {
    out.reject("qe-binding", "the attestation key named by the quoting enclave's report",
               "the report names another key");
    return false;
  }
  const auto key = memory.p256(quote.attestation_key);
  if (!key || !key->verify(SignatureScheme::ecdsa_sha256_raw, quote.signed_part, quote.signature)) {
    out.reject("quote-signature", "a quote signed by the attestation key",
               "its signature does not verify");
    return false;
  }
  return true;
}

// Whether Intel vouches for the statement now, and it is young enough for the policy.
bool check_statement(const IntelStatement& statement, const Context& context, bool require_crl,
                     Appraisal& out) {
  if (!check_intel_statement(statement, trust_of(context, require_crl), out)) return false;
  const auto age = (context.now - statement.issue_date).count();
  const auto& limit = context.policy.collateral_age_max_s;
  if (!limit || static_cast<std::uint64_t>(age) <= *limit) return true;
  out.reject("collateral-age", "at most " + std::to_string(*limit) + " seconds",
             std::to_string(age) + " seconds");
  return false;
}

// The newest statement among `matching` that holds now; null, with reasons, when there is none.
template <class Statement>
const Statement* pick(const std::vector<const Statement*>& matching, Literal rule,
                      const std::string& wanted, const Context& context, bool require_crl,
                      Appraisal& out) {
  if (matching.empty()) {
    out.cannot_tell(rule, wanted, "none was given");
    return nullptr;
  }
  const Statement* best = nullptr;
  Appraisal problems{"", ""};
  for (const auto* one : matching) {
    Appraisal scratch{"", ""};
    if (!check_statement(*one, context, require_crl, scratch)) {
      problems = std::move(scratch);
      continue;
    }
    if (best == nullptr || one->evaluation_number > best->evaluation_number ||
        (one->evaluation_number == best->evaluation_number && one->issue_date > best->issue_date))
      best = one;
  }
  if (best != nullptr) return best;
  for (const auto& reason : problems.reasons()) {
    if (reason.verdict == Verdict::reject)
      out.reject(rule, reason.expected, reason.actual);
    else
      out.cannot_tell(rule, reason.expected, reason.actual);
  }
  if (problems.reasons().empty()) out.cannot_tell(rule, wanted, "none that holds");
  return nullptr;
}

std::optional<TcbMatch> check_qe(const IntelQuote& quote, const QeIdentity& identity,
                                 Appraisal& out) {
  const auto& report = quote.qe_report;
  if (!equal(report.mr_signer, identity.mrsigner) || report.isv_prod_id != identity.isv_prod_id ||
      !equal_masked(report.misc_select, identity.misc_select, identity.misc_select_mask) ||
      !equal_masked(report.attributes, identity.attributes, identity.attributes_mask)) {
    out.reject("qe-identity", "the quoting enclave that Intel describes as " + identity.id,
               "an enclave signed by " + to_hex(report.mr_signer) + ", product " +
                   std::to_string(report.isv_prod_id));
    return std::nullopt;
  }
  auto match = match_enclave(identity.levels, report.isv_svn);
  if (!match)
    out.reject("qe-identity", "a quoting enclave at one of Intel's levels",
               "version " + std::to_string(report.isv_svn) + " is below every level");
  return match;
}

std::string join(const std::vector<std::string>& all) {
  std::string out;
  for (const auto& one : all) out += (out.empty() ? "" : ", ") + one;
  return out.empty() ? "none" : out;
}

void judge_tcb(std::span<const TcbMatch> parts, std::uint64_t evaluation_number,
               const IntelPolicy& policy, Appraisal& out) {
  TcbStatus status = TcbStatus::up_to_date;
  std::vector<std::string> advisories;
  for (const auto& part : parts) {
    status = combine(status, part.status);
    for (const auto& one : part.advisories)
      if (std::ranges::find(advisories, one) == advisories.end()) advisories.push_back(one);
  }
  const std::string name{tcb_status_name(status)};
  out.claim("tcb_status", name, Source::derived);
  if (!parts.empty()) out.claim("tcb_date", parts[0].date, Source::derived);
  out.claim("tcb_evaluation_data_number", std::to_string(evaluation_number), Source::derived);
  out.claim("advisories", join(advisories), Source::derived);
  // Revoked is never a matter of policy.
  if (status == TcbStatus::revoked ||
      std::ranges::find(policy.tcb_status, name) == policy.tcb_status.end())
    out.reject("tcb-status", join(policy.tcb_status),
               name + " (advisories: " + join(advisories) + ")");
  if (evaluation_number < policy.tcb_evaluation_min)
    out.reject("tcb-evaluation-number", std::to_string(policy.tcb_evaluation_min) + " or later",
               std::to_string(evaluation_number));
  const auto allowed = [&](const std::string& advisory) {
    return std::ranges::any_of(policy.advisories_allowed,
                               [&](const std::string& a) { return a == "*" || a == advisory; });
  };
  for (const auto& advisory : advisories)
    if (!allowed(advisory)) out.reject("advisories", join(policy.advisories_allowed), advisory);
}

void check_tcb(const IntelQuote& quote, const Pck& pck, const Context& context,
               const IntelPolicy& policy, Appraisal& out) {
  const bool tdx = quote.body != QuoteBody::sgx;
  const std::string_view kind = tdx ? "TDX" : "SGX";
  const std::string_view qe = tdx ? "TD_QE" : "QE";
  std::vector<const TcbInfo*> infos;
  for (const auto& one : context.collateral.tcb_infos)
    if (one->id == kind && one->fmspc == pck.platform.fmspc && one->pce_id == pck.platform.pce_id)
      infos.push_back(one.get());
  std::vector<const QeIdentity*> identities;
  for (const auto& one : context.collateral.qe_identities)
    if (one->id == qe) identities.push_back(one.get());
  const auto* info =
      pick(infos, "tcb-info",
           "Intel's " + std::string{kind} + " TCB info for FMSPC " + to_hex(pck.platform.fmspc),
           context, policy.require_crl, out);
  const auto* identity =
      pick(identities, "qe-identity", "Intel's identity of the quoting enclave " + std::string{qe},
           context, policy.require_crl, out);
  std::vector<TcbMatch> parts;
  if (info != nullptr) {
    auto platform = match_platform(*info, pck.platform, tdx ? &quote.td : nullptr);
    if (platform)
      parts.push_back(*std::move(platform));
    else
      out.reject("tcb-status", "a platform at one of Intel's TCB levels",
                 "TCB not supported: the platform is below every level");
    std::string problem;
    if (tdx) {
      auto module = match_module(*info, quote.td, problem);
      if (module)
        parts.push_back(*std::move(module));
      else
        out.reject("tdx-module", "a TDX module that Intel describes", problem);
    }
  }
  if (identity != nullptr) {
    auto match = check_qe(quote, *identity, out);
    if (match) parts.push_back(*std::move(match));
  }
  if (info == nullptr || identity == nullptr) return;
  if (parts.size() != (tdx ? 3U : 2U)) return;  // the reason is there
  judge_tcb(parts, std::min(info->evaluation_number, identity->evaluation_number), policy, out);
}

NamedViews td_values(const TdReport& td, const PckPlatform* platform) {
  NamedViews all{{"mr_td", td.mr_td},
                 {"rtmr0", td.rtmr[0]},
                 {"rtmr1", td.rtmr[1]},
                 {"rtmr2", td.rtmr[2]},
                 {"rtmr3", td.rtmr[3]},
                 {"mr_seam", td.mr_seam},
                 {"mr_signer_seam", td.mr_signer_seam},
                 {"mr_config_id", td.mr_config_id},
                 {"mr_owner", td.mr_owner},
                 {"mr_owner_config", td.mr_owner_config},
                 {"td_attributes", td.td_attributes},
                 {"xfam", td.xfam},
                 {"tee_tcb_svn", td.tee_tcb_svn},
                 {"report_data", td.report_data}};
  if (!td.tee_tcb_svn2.empty()) {
    all.emplace_back("tee_tcb_svn2", td.tee_tcb_svn2);
    all.emplace_back("mr_service_td", td.mr_service_td);
  }
  if (platform != nullptr) {
    all.emplace_back("fmspc", platform->fmspc);
    all.emplace_back("ppid", platform->ppid);
  }
  return all;
}

void check_td(const TdReport& td, const IntelPolicy& policy, Appraisal& out) {
  const auto attributes = [&](std::size_t i) {
    return std::to_integer<unsigned>(td.td_attributes[i]);
  };
  if (attributes(0) != 0 && !policy.debug)
    out.reject("debug", "a TD that cannot be debugged",
               (attributes(0) & 1U) != 0 ? "the TD's DEBUG attribute is set"
                                         : "attributes of TDs under debug are set");
  if (attributes(0) != 0)
    out.warn("debug", "This TD can be debugged: the host may read and change its memory.");
  if ((attributes(3) & 0x10U) == 0)
    out.warn("sept-ve-disable",
             "The TD's attribute SEPT_VE_DISABLE is not set: the host can make it take exceptions "
             "when it touches memory.");
  if ((attributes(3) & 0x20U) != 0)
    out.warn("migratable", "The TD can be migrated: its service TD shares in its trust.");
}

void warn_physical(Appraisal& out) {
  out.warn("physical-attacks",
           "Whoever can open the machine may read its memory bus and extract attestation keys "
           "(TEE.fail, WireTap): know where it stands, or pin its platform id.");
}

NamedViews sgx_values(const SgxReport& report, const PckPlatform* platform) {
  NamedViews all{{"mr_enclave", report.mr_enclave},
                 {"mr_signer", report.mr_signer},
                 {"attributes", report.attributes},
                 {"report_data", report.report_data}};
  if (platform != nullptr) {
    all.emplace_back("fmspc", platform->fmspc);
    all.emplace_back("ppid", platform->ppid);
  }
  return all;
}

void check_enclave(const SgxReport& report, const IntelPolicy& policy, Appraisal& out) {
  const auto flags = std::to_integer<unsigned>(report.attributes[0]);
  if ((flags & 1U) == 0) out.reject("debug", "an initialised enclave", "its INIT flag is not set");
  if ((flags & 2U) == 0) return;
  if (!policy.debug) out.reject("debug", "a production enclave", "its DEBUG flag is set");
  out.warn("debug", "This enclave can be debugged: the host may read and change its memory.");
}

// The log beside a quote in JSON: text of a list of events, or that list.
Result<EventLogPtr> json_log(const boost::json::object& object) {
  const auto* member = object.if_contains("event_log");
  if (member == nullptr) return EventLogPtr{};
  if (member->is_array()) return parse_event_log_json(boost::json::serialize(*member));
  const auto text = text_member(object, "event_log");
  if (!text || text->empty()) return EventLogPtr{};
  if (text->starts_with('[')) return parse_event_log_json(*text);
  auto bytes = from_hex(*text);
  if (!bytes) bytes = from_base64(*text);
  if (!bytes) return fail(Code::malformed, "event log beside a quote");
  return parse_event_log(*bytes);
}

void check_rtmrs(const TdReport& td, const EventLogPtr& own, const Context& context,
                 Appraisal& out) {
  QuotedRegisters rtmrs{QuotedRegisters::Of::td, kLogSha384, {}};
  for (std::uint32_t i = 0; i < 4; ++i) rtmrs.values.emplace(i, td.rtmr[i]);
  check_event_logs({&rtmrs, 1}, own, context, out);
}

// The quote inside of a JSON object, as guest tools write it: {"quote": hexadecimal or base64}.
std::optional<Bytes> json_quote(const Document& document) {
  if (!document.is_json) return std::nullopt;
  const auto value = parse_json(as_text(document.raw));
  if (!value || !value->is_object()) return std::nullopt;
  for (const auto* const name : {"quote", "intel_quote", "tdx_quote", "td_quote"}) {
    const auto text = text_member(value->get_object(), name);
    if (!text) continue;
    auto bytes = from_hex(text->starts_with("0x") ? text->substr(2) : *text);
    if (!bytes) bytes = from_base64(*text);
    if (bytes && is_intel_quote(*bytes)) return bytes;
  }
  return std::nullopt;
}

class IntelEvidence final : public Evidence {
 public:
  explicit IntelEvidence(Bytes bytes, EventLogPtr log = {})
      : bytes_{std::move(bytes)}, log_{std::move(log)} {}
  std::string_view kind() const override {
    return bytes_[4] == std::byte{0x81} && bytes_[0] != std::byte{3} ? "tdx" : "sgx";
  }
  BytesView raw() const override { return bytes_; }
  void appraise(const Context& context, Appraisal& out) const override {
    const auto quote = parse_intel_quote(bytes_);
    if (!quote) {
      out.reject("format", "a well-formed quote", quote.error());
      return;
    }
    check_report_data(
        quote->body == QuoteBody::sgx ? quote->enclave.report_data : quote->td.report_data, context,
        out);
    appraise_intel_quote(*quote, context, out, log_);
  }

 private:
  Bytes bytes_;
  EventLogPtr log_;
};

}  // namespace

void appraise_intel_quote(const IntelQuote& quote, const Context& context, Appraisal& out,
                          const EventLogPtr& log) {
  const bool tdx = quote.body != QuoteBody::sgx;
  const auto& policy = tdx ? context.policy.tdx : context.policy.sgx;
  if (to_hex(quote.qe_vendor_id) != kIntelVendorId)
    out.reject("qe-vendor", std::string{kIntelVendorId} + " (Intel)", to_hex(quote.qe_vendor_id));
  const auto pck = check_pck(quote, context, policy, out);
  if (!pck) return;
  if (!check_signatures(quote, *pck->chain[0], context.memory, out)) return;
  out.claim("quote_version", std::to_string(quote.version), Source::hardware);
  const auto values =
      tdx ? td_values(quote.td, &pck->platform) : sgx_values(quote.enclave, &pck->platform);
  for (const auto& [name, value] : values) out.claim(std::string{name}, value, Source::hardware);
  check_tcb(quote, *pck, context, policy, out);
  static constexpr std::array<std::string_view, 1> kTdCode{"mr_td"};
  static constexpr std::array<std::string_view, 1> kSgxCode{"mr_enclave"};
  if (tdx) {
    check_td(quote.td, policy, out);
    check_rtmrs(quote.td, log, context, out);
  } else {
    check_enclave(quote.enclave, policy, out);
  }
  check_denied(policy.denied, values, out);
  check_values(policy.values, values, tdx ? kTdCode : kSgxCode, context, out);
  warn_physical(out);
  out.complete();
}

std::optional<Result<std::vector<EvidencePtr>>> find_intel_quote(const Document& document) {
  std::vector<EvidencePtr> all;
  if (is_intel_quote(document.bytes)) {
    all.push_back(
        std::make_unique<IntelEvidence>(Bytes{document.bytes.begin(), document.bytes.end()}));
    return all;
  }
  auto quote = json_quote(document);
  if (!quote) return std::nullopt;
  const auto value = parse_json(as_text(document.raw));
  TACIT_TRY(auto log, json_log(value->get_object()));
  all.push_back(std::make_unique<IntelEvidence>(*std::move(quote), std::move(log)));
  return all;
}

}  // namespace tacit::attest
