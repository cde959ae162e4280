#include "attest/azure.hpp"

#include <algorithm>
#include <array>

#include "attest/checks.hpp"
#include "attest/intel.hpp"
#include "attest/json.hpp"
#include "attest/oids.hpp"
#include "attest/snp.hpp"
#include "attest/tpm_evidence.hpp"
#include "core/text.hpp"
#include "crypto/hash.hpp"

namespace tacit::attest {
namespace {

namespace json = boost::json;

constexpr auto kMagic = oid::bytes('H', 'C', 'L', 'A');
constexpr std::size_t kHeaderBytes = 32;
constexpr std::size_t kRuntimeHeaderBytes = 20;
constexpr std::size_t kRuntimeAt = kHeaderBytes + kSnpReportBytes;
constexpr std::size_t kTdReportBytes = 1024;
constexpr std::size_t kTdReportDataAt = 128;
constexpr std::uint32_t kTypeSnp = 2;
constexpr std::uint32_t kTypeTdx = 4;
constexpr std::uint32_t kSha256 = 1;

BytesView report_data_of(const HclReport& report) {
  return report.kind == HclKind::snp ? report.hardware.subspan(0x50, 64)
                                     : report.hardware.subspan(kTdReportDataAt, 64);
}

struct AzureParts {
  Bytes hcl;
  std::optional<TpmParts> tpm;  // the quotes of its vTPM
  Bytes td_quote;
  std::vector<CertificatePtr> certificates;
};

// SHA-256 of the runtime data must be what the hardware signed.
bool check_runtime(const HclReport& report, BytesView signed_data, Appraisal& out) {
  const auto digest = crypto::sha256(report.runtime);
  if (equal(signed_data.first(32), digest) && all_zero(signed_data.subspan(32))) return true;
  out.reject("runtime-data", "runtime data that the hardware report names", "others");
  return false;
}

// The relying party may know the runtime data's digest beforehand; freshness is the vTPM's.
void check_bound(BytesView report_data, const Context& context, Appraisal& out) {
  if (context.report_data) check_report_data(report_data, context, out);
}

class AzureEvidence final : public Evidence {
 public:
  explicit AzureEvidence(AzureParts parts) : parts_{std::move(parts)} {}
  std::string_view kind() const override {
    const auto report = parse_hcl_report(parts_.hcl);
    return report && report->kind == HclKind::tdx ? "tdx" : "sev-snp";
  }
  void appraise(const Context& context, Appraisal& out) const override {
    const auto report = parse_hcl_report(parts_.hcl);
    if (!report) {
      out.reject("format", "a well-formed HCL report", report.error());
      return;
    }
    if (!check_runtime(*report, report_data_of(*report), out)) return;
    if (!check_freshness(*report, context, out)) return;
    if (!parts_.tpm)
      out.warn("vtpm-not-quoted",
               "The vTPM's state is not part of this evidence: only the paravisor was measured.");
    // The hardware's report data name the runtime data; the nonce is the vTPM quote's.
    const Policy& policy = context.policy;
    Context inner{context.collateral,  policy,         context.now, context.memory, {},
                  context.report_data, context.replays};
    if (report->kind == HclKind::snp)
      judge_snp(*report, inner, out);
    else
      judge_tdx(*report, inner, out);
  }

  // The key that its runtime data name; nullopt when there is none that can be read.
  std::optional<crypto::VerifyingKey> key() const {
    const auto report = parse_hcl_report(parts_.hcl);
    auto found = report ? attestation_key(*report) : fail(report.error());
    return found ? std::optional{*std::move(found)} : std::nullopt;
  }
  // The same evidence with what belongs to it; what it has already, it keeps.
  std::unique_ptr<AzureEvidence> with(const TpmParts* tpm, BytesView td_quote) const {
    auto parts = parts_;
    if (tpm != nullptr && !parts.tpm) parts.tpm = *tpm;
    if (tpm == nullptr) parts.td_quote.assign(td_quote.begin(), td_quote.end());
    return std::make_unique<AzureEvidence>(std::move(parts));
  }
  bool has_tpm() const noexcept { return parts_.tpm.has_value(); }
  // The report data that a TD quote for this evidence must have; empty when it needs none.
  Bytes td_report_data() const {
    const auto report = parse_hcl_report(parts_.hcl);
    if (!report || report->kind != HclKind::tdx || !parts_.td_quote.empty()) return {};
    const auto data = report_data_of(*report);
    return {data.begin(), data.end()};
  }

 private:
  bool check_freshness(const HclReport& report, const Context& context, Appraisal& out) const {
    if (!parts_.tpm) {
      check_report_data(report_data_of(report), context, out);
      return true;
    }
    const auto key = attestation_key(report);
    if (!key) {
      out.reject("vtpm-key", "the vTPM's key in the runtime data", key.error());
      return false;
    }
    return check_tpm_quotes(*parts_.tpm, *key, context, out);
  }

  void judge_snp(const HclReport& hcl, const Context& context, Appraisal& out) const {
    const auto report = parse_snp_report(hcl.hardware);
    if (!report) {
      out.reject("format", "a well-formed SNP report", report.error());
      return;
    }
    check_bound(report->report_data, context, out);
    auto certificates = context.collateral.certificates;
    certificates.insert(certificates.end(), parts_.certificates.begin(), parts_.certificates.end());
    appraise_snp_report(*report, certificates, context, out);
  }

  void judge_tdx(const HclReport& hcl, const Context& context, Appraisal& out) const {
    if (parts_.td_quote.empty()) {
      out.cannot_tell("td-quote", "a quote over the TD report", "none was given");
      return;
    }
    const auto quote = parse_intel_quote(parts_.td_quote);
    if (!quote || quote->body == QuoteBody::sgx) {
      out.reject("format", "a well-formed TD quote",
                 quote ? Error{Code::malformed, "quote of an enclave"} : quote.error());
      return;
    }
    if (!equal(quote->td.report_data, report_data_of(hcl))) {
      out.reject("td-quote", "a quote over the TD report", "a quote over other report data");
      return;
    }
    check_bound(quote->td.report_data, context, out);
    appraise_intel_quote(*quote, context, out);
  }

  AzureParts parts_;
};

std::optional<Bytes> bytes_of(const json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  return value == nullptr ? std::nullopt : tpm_json_bytes(*value);
}

Result<AzureParts> from_json(const json::object& object) {
  AzureParts out;
  auto hcl = bytes_of(object, object.contains("hcl_report") ? "hcl_report" : "report");
  if (!hcl) return fail(Code::malformed, "HCL report in JSON");
  out.hcl = *std::move(hcl);
  const auto* quote = object_member(object, object.contains("tpm_quote") ? "tpm_quote" : "quote");
  if (quote == nullptr) return fail(Code::malformed, "TPM quote in JSON");
  TACIT_TRY(auto signed_quote, read_tpm_json(*quote));
  out.tpm.emplace();
  out.tpm->quotes.push_back(std::move(signed_quote));
  if (object.contains("td_quote")) {
    auto td_quote = bytes_of(object, "td_quote");
    if (!td_quote) return fail(Code::malformed, "TD quote in JSON");
    out.td_quote = *std::move(td_quote);
  }
  if (const auto vcek = text_member(object, "vcek")) {
    if (vcek->starts_with("-----BEGIN")) {
      TACIT_TRY(out.certificates, parse_certificate_chain(*vcek));
    } else {
      const auto der = bytes_of(object, "vcek");
      if (!der) return fail(Code::malformed, "VCEK in JSON");
      TACIT_TRY(auto certificate, parse_certificate(*der));
      out.certificates.push_back(std::move(certificate));
    }
  }
  return out;
}

}  // namespace

bool is_hcl_report(BytesView bytes) noexcept {
  return bytes.size() > kRuntimeAt + kRuntimeHeaderBytes && equal(bytes.first(4), kMagic);
}

Result<HclReport> parse_hcl_report(BytesView bytes) {
  if (!is_hcl_report(bytes)) return fail(Code::malformed, "HCL report");
  HclReport out;
  ByteReader header{bytes.subspan(4, kHeaderBytes - 4)};
  ByteReader runtime{bytes.subspan(kRuntimeAt)};
  TACIT_TRY(const auto version, header.u32());
  TACIT_TRY(const auto size, header.u32());
  TACIT_TRY(const auto request, header.u32());
  TACIT_TRY(const auto status, header.take(16));
  TACIT_TRY(const auto data_size, runtime.u32());
  TACIT_TRY(const auto data_version, runtime.u32());
  TACIT_TRY(const auto type, runtime.u32());
  TACIT_TRY(const auto hash, runtime.u32());
  TACIT_TRY(out.runtime, runtime.sized(bytes.size()));
  const auto runtime_size = kRuntimeHeaderBytes + out.runtime.size();
  if (version < 1 || version > 2 || request != 2 || !all_zero(status) || data_version != 1 ||
      hash != kSha256 || data_size != runtime_size || size != kRuntimeAt + runtime_size)
    return fail(Code::malformed, "headers of an HCL report");
  const auto rest = bytes.subspan(kRuntimeAt + runtime_size);
  if (!all_zero(rest)) return fail(Code::malformed, "bytes after an HCL report");
  out.hardware = bytes.subspan(kHeaderBytes, kSnpReportBytes);
  if (type == kTypeTdx) {
    out.kind = HclKind::tdx;
    if (!all_zero(out.hardware.subspan(kTdReportBytes)))
      return fail(Code::malformed, "padding of a TD report");
  } else if (type != kTypeSnp) {
    return fail(Code::unsupported, "hardware report inside of an HCL report");
  }
  return out;
}

Result<crypto::VerifyingKey> attestation_key(const HclReport& report) {
  TACIT_TRY(const auto value, parse_json(as_text(report.runtime)));
  const auto* keys = value.is_object() ? array_member(value.get_object(), "keys") : nullptr;
  if (keys == nullptr || keys->size() > 16)
    return fail(Code::malformed, "keys of the runtime data");
  for (const auto& one : *keys) {
    const auto* key = one.if_object();
    if (key == nullptr || text_member(*key, "kid") != "HCLAkPub") continue;
    const auto modulus = bytes_of(*key, "n");
    const auto exponent = bytes_of(*key, "e");
    if (text_member(*key, "kty") != "RSA" || !modulus || !exponent) break;
    return crypto::VerifyingKey::from_rsa(*modulus, *exponent);
  }
  return fail(Code::malformed, "runtime data without the vTPM's key");
}

std::optional<Result<std::vector<EvidencePtr>>> find_azure(const Document& document) {
  std::vector<EvidencePtr> all;
  if (is_hcl_report(document.bytes)) {
    AzureParts parts;
    parts.hcl.assign(document.bytes.begin(), document.bytes.end());
    all.push_back(std::make_unique<AzureEvidence>(std::move(parts)));
    return all;
  }
  if (!document.is_json) return std::nullopt;
  const auto value = parse_json(as_text(document.raw));
  if (!value || !value->is_object()) return std::nullopt;
  const auto& object = value->get_object();
  if (!object.contains("hcl_report") && !(object.contains("report") && object.contains("quote")))
    return std::nullopt;
  TACIT_TRY(auto parts, from_json(object));
  all.push_back(std::make_unique<AzureEvidence>(std::move(parts)));
  return all;
}

namespace {

// Whether `piece` is a TD quote over that report data.
bool is_td_quote_over(const Evidence& piece, BytesView report_data) {
  const auto quote = parse_intel_quote(piece.raw());
  return quote && quote->body != QuoteBody::sgx && equal(quote->td.report_data, report_data);
}

const TpmEvidence* as_tpm(const Evidence& piece) {
  return dynamic_cast<const TpmEvidence*>(&piece);
}

const AzureEvidence* as_azure(const Piece& piece) {
  return dynamic_cast<const AzureEvidence*>(piece.evidence.get());
}

// The piece that belongs to `azure`; end when there is none.
std::vector<Piece>::iterator td_quote_of(const AzureEvidence& azure, std::vector<Piece>& pieces) {
  const auto wanted = azure.td_report_data();
  return std::ranges::find_if(pieces, [&](const Piece& one) {
    return !wanted.empty() && is_td_quote_over(*one.evidence, wanted);
  });
}

std::vector<Piece>::iterator tpm_of(const AzureEvidence& azure, std::vector<Piece>& pieces) {
  const auto key = azure.key();
  if (!key || azure.has_tpm()) return pieces.end();
  const auto own = std::ranges::find_if(pieces, [&](const Piece& one) {
    const auto* tpm = as_tpm(*one.evidence);
    return tpm != nullptr && tpm->is_signed_by(*key);
  });
  if (own != pieces.end()) return own;
  // A quote of another key than this machine's is for this machine's checks to refuse.
  return std::ranges::find_if(pieces,
                              [](const Piece& one) { return as_tpm(*one.evidence) != nullptr; });
}

}  // namespace

void combine_azure(Gathered& gathered) {
  auto& pieces = gathered.pieces;
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    for (const auto find : {td_quote_of, tpm_of}) {
      const auto* azure = as_azure(pieces[i]);
      if (azure == nullptr) break;
      const auto part = find(*azure, pieces);
      if (part == pieces.end()) continue;
      const auto* tpm = as_tpm(*part->evidence);
      auto whole = azure->with(tpm == nullptr ? nullptr : &tpm->parts(), part->evidence->raw());
      pieces[i].name += " + " + part->name;
      pieces[i].evidence = std::move(whole);
      if (part - pieces.begin() < static_cast<std::ptrdiff_t>(i)) --i;
      pieces.erase(part);
    }
  }
}

}  // namespace tacit::attest
