#include "attest/nvidia.hpp"

#include <algorithm>
#include <array>

#include "attest/checks.hpp"
#include "attest/json.hpp"
#include "attest/oids.hpp"
#include "attest/roots.hpp"
#include "core/text.hpp"
#include "crypto/hash.hpp"

namespace tacit::attest {
namespace {

constexpr unsigned kFwid = 20;  // of the opaque data: the digest of the firmware

using Chain = std::vector<CertificatePtr>;

bool names_nvidia(const Certificate& certificate) {
  return as_text(certificate.subject).contains("NVIDIA");
}

bool verifies(const NvidiaReport& report, const Certificate& certificate) {
  return certificate.key->kind() == crypto::KeyKind::ecdsa_p384 &&
         certificate.key
             ->verify(crypto::SignatureScheme::ecdsa_sha384_raw, report.signed_part,
                      report.signature)
             .has_value();
}

// The chain whose leaf signed the report; empty, with the reason, when there is none.
Chain find_chain(const NvidiaReport& report, std::span<const CertificatePtr> certificates,
                 const Context& context, Appraisal& out) {
  bool any = false;
  for (const auto& one : certificates) {
    if (!names_nvidia(*one)) continue;
    any = true;
    if (!one->is_ca && verifies(report, *one))
      return build_chain(one, certificates, *root_certificate(RootId::nvidia_device), context.now,
                         context.memory);
  }
  if (any)
    out.reject("report-signature", "a report signed by the device's certificate",
               "none of the certificates verifies its signature");
  else
    out.cannot_tell("device-chain", "the device's certificates", "none were given");
  return {};
}

// The firmware that the certificate was made for must be the one that the report names.
void check_fwid(const NvidiaReport& report, const Certificate& leaf, Appraisal& out) {
  const auto info = leaf.extension(oid::kDiceTcbInfo);
  if (!info || info->size() < 48) {
    out.reject("device-chain", "a device certificate that names its firmware (DICE)", "none in it");
    return;
  }
  const auto at = report.opaque.find(kFwid);
  if (at != report.opaque.end() && !equal(at->second, info->last(48)))
    out.reject("device-chain", "firmware " + to_hex(info->last(48)), to_hex(at->second));
}

struct WantedRim {
  std::string_view what;  // for people
  std::string version;
  std::string_view edition;
  bool is_driver = false;
};

// No RIM of that version verifies: why, from what was given.
void explain_missing(const WantedRim& wanted, const Context& context, Appraisal& out) {
  const auto& rims = context.collateral.rims;
  const auto expected = "the RIM of " + std::string{wanted.what} + " " + wanted.version;
  const bool tampered = !rims.empty() && std::ranges::all_of(rims, [](const auto& rim) {
    return rim->document_digest != rim->stated_digest;
  });
  const auto other = std::ranges::find_if(rims, [&](const auto& rim) {
    return rim->named && rim->is_driver() == wanted.is_driver &&
           iequals_ascii(rim->edition, wanted.edition);
  });
  if (tampered)
    out.reject("rim", expected, "one that was changed after it was signed");
  else if (other != rims.end())
    out.reject("rim", expected, "one for another version, " + (*other)->version);
  else
    out.cannot_tell("rim", expected, "none was given");
}

// The newest RIM of that version and edition that verifies; null, with reasons, when none does.
const Rim* find_rim(const WantedRim& wanted, const Context& context, Appraisal& out) {
  const Rim* best = nullptr;
  bool any = false;
  Appraisal problems{"", ""};
  for (const auto& given : context.collateral.rims) {
    const auto& rim = *given;
    if (!iequals_ascii(rim.version, wanted.version) || !iequals_ascii(rim.edition, wanted.edition))
      continue;
    any = true;
    Appraisal scratch{"", ""};
    if (!check_rim(rim, context.now, context.memory, scratch))
      problems = std::move(scratch);
    else if (best == nullptr || rim.chain[0]->not_before > best->chain[0]->not_before)
      best = &rim;
  }
  if (best != nullptr) return best;
  if (!any) explain_missing(wanted, context, out);
  for (const auto& reason : problems.reasons()) out.reject("rim", reason.expected, reason.actual);
  return nullptr;
}

struct Compared {
  unsigned matched = 0;
  unsigned differing = 0;
};

void compare(const NvidiaReport& report, const Rim& rim, std::string_view what, Appraisal& out) {
  Compared all;
  for (const auto& wanted : rim.measurements) {
    if (!wanted.active || (wanted.index == kNvdecRimIndex && !report.counts_nvdec())) continue;
    const auto at = report.measurements.find(wanted.index + 1);
    const bool same = at != report.measurements.end() &&
                      std::ranges::any_of(wanted.alternatives, [&](const Bytes& value) {
                        return equal(value, at->second);
                      });
    if (same) {
      ++all.matched;
      continue;
    }
    ++all.differing;
    if (all.differing > 8) continue;  // enough to see
    out.reject("measurement",
               std::string{what} + " measurement " + std::to_string(wanted.index) + " is " +
                   to_hex(wanted.alternatives[0]),
               at == report.measurements.end() ? "not in the report" : to_hex(at->second));
  }
  if (all.matched == 0 && all.differing == 0)
    out.reject("measurement", "active measurements in the RIM", "none");
  out.claim(std::string{what} + "_measurements",
            std::to_string(all.matched) + " of " + std::to_string(all.matched + all.differing) +
                " equal NVIDIA's reference values",
            Source::derived);
}

bool active_twice(const Rim& a, const Rim& b) {
  return std::ranges::any_of(a.measurements, [&](const RimMeasurement& one) {
    return one.active && std::ranges::any_of(b.measurements, [&](const RimMeasurement& two) {
             return two.active && two.index == one.index;
           });
  });
}

// "GH100 A01 GSP FMC LF" and "LS_10 A01 FSP FMC LF" begin with the product's name.
bool is_product(const Certificate& leaf, const Rim& rim) {
  auto name = leaf.common_name();
  std::erase(name, '_');
  return name.starts_with(rim.product);
}

void check_rims(const NvidiaReport& report, const Certificate& leaf, const Context& context,
                Appraisal& out) {
  const auto edition = report.is_gpu() ? "GPU" : "SWITCH";
  const auto* vbios = find_rim({"the VBIOS", report.vbios_version(), edition, false}, context, out);
  if (vbios != nullptr) {
    if (!is_product(leaf, *vbios))
      out.reject("rim", "a RIM for " + leaf.common_name(), "one for " + vbios->product);
    compare(report, *vbios, "vbios", out);
  }
  if (!report.is_gpu()) return;
  const auto* driver =
      find_rim({"the driver", report.driver_version(), edition, true}, context, out);
  if (driver == nullptr) return;
  compare(report, *driver, "driver", out);
  if (vbios != nullptr && active_twice(*vbios, *driver))
    out.reject("rim", "each measurement in one of the RIMs", "one is in both");
}

class NvidiaEvidence final : public Evidence {
 public:
  NvidiaEvidence(Bytes report, std::optional<std::string> pem)
      : report_{std::move(report)}, pem_{std::move(pem)} {
    const auto parsed = parse_nvidia_report(report_);
    is_switch_ = parsed && !parsed->is_gpu();
  }

  std::string_view kind() const override { return is_switch_ ? "nvidia-switch" : "nvidia-gpu"; }
  // The device's own key certifies the one that signs, which may change with its firmware. Without
  // certificates beside it, the whole report, so that no file counts twice.
  std::string identity() const override {
    const auto blocks = pem_ ? parse_certificate_blocks(*pem_) : Result<std::vector<PemBlock>>{};
    const bool has_own = blocks && blocks->size() >= 2;
    const auto own =
        has_own ? parse_certificate((*blocks)[1].der) : Result<CertificatePtr>{CertificatePtr{}};
    if (!own || *own == nullptr) return "report " + crypto::sha256_hex(report_).substr(0, 16);
    return "device " + crypto::sha256_hex((*own)->spki).substr(0, 16);
  }
  void appraise(const Context& context, Appraisal& out) const override {
    const auto report = parse_nvidia_report(report_);
    if (!report) {
      out.reject("format", "a well-formed NVIDIA report", report.error());
      return;
    }
    Chain chain;
    if (pem_) {
      auto own = context.memory.chain(*pem_);
      if (!own) {
        out.reject("device-chain", "a chain of certificates", own.error());
        return;
      }
      chain = find_chain(*report, *own, context, out);
    } else {
      chain = find_chain(*report, context.collateral.certificates, context, out);
    }
    if (!chain.empty()) judge(*report, chain, context, out);
  }

 private:
  static void judge(const NvidiaReport& report, const Chain& chain, const Context& context,
                    Appraisal& out) {
    if (!chain_to_root(chain, *root_certificate(RootId::nvidia_device),
                       {context.now, {}, Owner::machine}, context.memory, "device-chain", out))
      return;
    const auto& leaf = *chain[0];
    if (!leaf.may_sign_data() || chain.size() < 2) {
      out.reject("device-chain", "a device certificate that may sign", leaf.common_name());
      return;
    }
    check_fwid(report, leaf, out);
    out.claim("device", leaf.common_name(), Source::hardware);
    out.claim("nonce", report.nonce, Source::hardware);
    out.claim("vbios_version", report.vbios_version(), Source::hardware);
    if (report.is_gpu()) out.claim("driver_version", report.driver_version(), Source::hardware);
    check_nonce(report.nonce, context, out);
    check_rims(report, leaf, context, out);
    if (!context.policy.nvidia.values.empty())
      out.reject("values", "a policy without [nvidia.values]", "devices have no such values");
    if (context.policy.nvidia.require_ocsp)
      out.cannot_tell("revocation", "an OCSP answer for the device", "none was given");
    else
      out.warn("revocation-unknown",
               "Whether NVIDIA has revoked this device's certificates was not asked (OCSP).");
    out.complete();
  }

  Bytes report_;
  std::optional<std::string> pem_;
  bool is_switch_ = false;
};

// One object of NVIDIA's JSON; null when it is none.
EvidencePtr from_json(const boost::json::value& value) {
  const auto* object = value.if_object();
  if (object == nullptr) return nullptr;
  const auto evidence = text_member(*object, "evidence");
  const auto certificate = text_member(*object, "certificate");
  if (!evidence || !certificate) return nullptr;
  auto report = from_base64(*evidence);
  const auto pem = from_base64(*certificate);
  if (!report || !pem || !is_nvidia_report(*report)) return nullptr;
  return std::make_unique<NvidiaEvidence>(*std::move(report), std::string{as_text(*pem)});
}

}  // namespace

std::optional<Result<std::vector<EvidencePtr>>> find_nvidia(const Document& document) {
  std::vector<EvidencePtr> all;
  if (is_nvidia_report(document.bytes)) {
    all.push_back(std::make_unique<NvidiaEvidence>(
        Bytes{document.bytes.begin(), document.bytes.end()}, std::nullopt));
    return all;
  }
  if (!document.is_json) return std::nullopt;
  const auto value = parse_json(as_text(document.raw));
  if (!value) return std::nullopt;
  if (auto one = from_json(*value)) {
    all.push_back(std::move(one));
    return all;
  }
  const auto* list = value->if_array();
  if (list == nullptr && value->is_object()) list = array_member(value->get_object(), "evidences");
  if (list == nullptr || list->empty() || list->size() > kEvidencePiecesMax) return std::nullopt;
  for (const auto& item : *list) {
    auto one = from_json(item);
    if (one == nullptr && all.empty()) return std::nullopt;
    if (one == nullptr)  // a list that hides an unreadable device must not pass as a shorter one
      return fail(Code::malformed, "entry in a list of NVIDIA evidence");
    all.push_back(std::move(one));
  }
  return all;
}

}  // namespace tacit::attest
