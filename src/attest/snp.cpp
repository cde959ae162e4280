// Appraisal of AMD SEV-SNP reports. Certificates: "Versioned Chip Endorsement Key (VCEK)
// Certificate and KDS Interface Specification" (57230).
#include "attest/snp.hpp"

#include <algorithm>
#include <array>

#include "attest/checks.hpp"
#include "attest/oids.hpp"
#include "attest/roots.hpp"
#include "core/text.hpp"

namespace tacit::attest {
namespace {

// What a VCEK or VLEK says about the chip and the firmware that it is for.
struct ChipKey {
  CertificatePtr certificate;
  AmdGeneration generation{};
  bool vlek = false;
  AmdTcb tcb;
  Bytes chip_id;  // empty for a VLEK
};

Bytes amd_oid(std::initializer_list<unsigned> rest) {
  Bytes out{oid::kAmd.begin(), oid::kAmd.end()};
  for (const auto one : rest) out.push_back(static_cast<std::byte>(one));
  return out;
}

std::optional<std::uint8_t> svn(const Certificate& certificate, unsigned number) {
  const auto value = certificate.extension(amd_oid({3, number}));
  if (!value) return std::nullopt;
  der::Reader in{*value};
  const auto number_read = in.small_integer();
  if (!number_read || *number_read > 255 || !in.done()) return std::nullopt;
  return static_cast<std::uint8_t>(*number_read);
}

// The hardware id: raw, or wrapped in an OCTET STRING.
std::optional<Bytes> hardware_id(const Certificate& certificate) {
  auto value = certificate.extension(amd_oid({4}));
  if (!value) return std::nullopt;
  der::Reader in{*value};
  const auto wrapped = in.take(der::kOctetString);
  if (wrapped && in.done() && (wrapped->content.size() == 64 || wrapped->content.size() == 8))
    value = wrapped->content;
  if (value->size() != 64 && value->size() != 8) return std::nullopt;
  return Bytes{value->begin(), value->end()};
}

struct Anchors {
  AmdGeneration generation;
  RootId ark, ask, asvk;
};
constexpr std::array kAnchors{
    Anchors{AmdGeneration::milan, RootId::amd_ark_milan, RootId::amd_ask_milan,
            RootId::amd_asvk_milan},
    Anchors{AmdGeneration::genoa, RootId::amd_ark_genoa, RootId::amd_ask_genoa,
            RootId::amd_asvk_genoa},
    Anchors{AmdGeneration::turin, RootId::amd_ark_turin, RootId::amd_ask_turin,
            RootId::amd_asvk_turin},
};

std::optional<ChipKey> read_chip_key(const CertificatePtr& certificate, bool vlek) {
  const auto name = certificate->common_name();
  if (name != (vlek ? "SEV-VLEK" : "SEV-VCEK")) return std::nullopt;
  ChipKey out;
  out.certificate = certificate;
  out.vlek = vlek;
  const auto* const anchors = std::ranges::find_if(kAnchors, [&](const Anchors& a) {
    return equal(certificate->issuer, root_certificate(vlek ? a.asvk : a.ask)->subject);
  });
  if (anchors == kAnchors.end()) return std::nullopt;
  out.generation = anchors->generation;
  const auto bootloader = svn(*certificate, 1);
  const auto tee = svn(*certificate, 2);
  const auto snp = svn(*certificate, 3);
  const auto microcode = svn(*certificate, 8);
  if (!bootloader || !tee || !snp || !microcode) return std::nullopt;
  out.tcb = {
      .fmc = 0, .bootloader = *bootloader, .tee = *tee, .snp = *snp, .microcode = *microcode};
  if (out.generation == AmdGeneration::turin) {
    const auto fmc = svn(*certificate, 9);
    if (!fmc) return std::nullopt;
    out.tcb.fmc = *fmc;
  }
  if (!vlek) {
    auto id = hardware_id(*certificate);
    if (!id) return std::nullopt;
    out.chip_id = *std::move(id);
  }
  return out;
}

std::string tcb_text(const AmdTcb& tcb, AmdGeneration generation) {
  std::string out;
  if (generation == AmdGeneration::turin) out = "FMC " + std::to_string(tcb.fmc) + ", ";
  return out + "boot loader " + std::to_string(tcb.bootloader) + ", TEE " +
         std::to_string(tcb.tee) + ", SNP " + std::to_string(tcb.snp) + ", microcode " +
         std::to_string(tcb.microcode);
}

// The list of AMD's root says nothing about single chips, but about the keys that certify them.
void check_revocation(const Anchors& anchors, const Certificate& intermediate,
                      std::span<const CertificatePtr> certificates, const Context& context,
                      Appraisal& out) {
  const auto& ark = *root_certificate(anchors.ark);
  const auto& crls = context.collateral.crls;
  const auto answer = revocation_of(intermediate, ark, crls, context.now, context.memory);
  const auto what = "a revocation list in force that clears \"" + intermediate.common_name() + "\"";
  const bool given =
      std::ranges::any_of(crls, [&](const CrlPtr& c) { return equal(c->issuer, ark.subject); });
  if (answer.state == Revocation::good) {
    out.claim("revocation", "checked", Source::derived);
  } else if (answer.state == Revocation::revoked || given) {
    out.reject("revocation", what, answer.why);
  } else if (context.policy.snp.require_crl) {
    out.cannot_tell("revocation", what, answer.why);
  } else {
    out.warn("revocation-unknown",
             "No revocation list of AMD was given: a withdrawn signing key would not be noticed.");
  }
  // Another certificate of the same authority that comes along must not be a withdrawn one.
  for (const auto& other : certificates) {
    if (!equal(other->subject, intermediate.subject) || equal(other->der, intermediate.der))
      continue;
    const auto about = revocation_of(*other, ark, crls, context.now, context.memory);
    const bool withdrawn_genoa =  // serial 0x20001, on AMD's list since 2022-10-31
        anchors.generation == AmdGeneration::genoa && to_hex(other->serial) == "020001";
    if (about.state == Revocation::revoked || withdrawn_genoa)
      out.reject("revocation", "no withdrawn certificate of \"" + other->common_name() + "\"",
                 "serial " + to_hex(other->serial) + " was withdrawn by AMD");
  }
}

// The key that this report asks for: type, chip and firmware fit, and the chain verifies.
std::optional<ChipKey> find_key(const SnpReport& report,
                                std::span<const CertificatePtr> certificates,
                                const Context& context, Appraisal& out) {
  const bool vlek = report.signed_by_vlek();
  const std::string name = vlek ? "VLEK" : "VCEK";
  Appraisal problems{"", ""};
  bool any = false;
  for (const auto& certificate : certificates) {
    if (certificate->common_name() != "SEV-" + name) continue;
    any = true;
    Appraisal scratch{"", ""};
    auto key = read_chip_key(certificate, vlek);
    if (!key) {
      scratch.reject("chip-key", "a " + name + " certificate as AMD issues them",
                     "its issuer or its extensions are others");
    } else if (report.generation && *report.generation != key->generation) {
      scratch.reject("chip-key",
                     "a " + name + " of " + std::string{generation_name(*report.generation)},
                     std::string{generation_name(key->generation)});
    } else if (key->tcb != decode_tcb(report.reported_tcb, key->generation)) {
      scratch.reject(
          "chip-key",
          "a " + name + " for the reported TCB: " +
              tcb_text(decode_tcb(report.reported_tcb, key->generation), key->generation),
          tcb_text(key->tcb, key->generation));
    } else if (!vlek && (all_zero(report.chip_id) ||
                         !equal(report.chip_id.first(key->chip_id.size()), key->chip_id) ||
                         !all_zero(report.chip_id.subspan(key->chip_id.size())))) {
      scratch.reject("chip-key", "a VCEK for chip " + to_hex(report.chip_id),
                     "chip " + to_hex(key->chip_id));
    } else {
      const auto& anchors = kAnchors[static_cast<std::size_t>(key->generation)];
      const std::array chain{certificate, root_certificate(vlek ? anchors.asvk : anchors.ask)};
      chain_to_root(chain, *root_certificate(anchors.ark), {context.now, {}, Owner::machine},
                    context.memory, "chip-key", scratch);
    }
    if (scratch.reasons().empty()) return key;
    problems = std::move(scratch);
  }
  for (const auto& reason : problems.reasons())
    out.reject("chip-key", reason.expected, reason.actual);
  if (!any)
    out.cannot_tell("chip-key", "the " + name + " certificate of this chip and firmware",
                    "none was given");
  return std::nullopt;
}

void check_minimum(const char* name, std::optional<std::uint64_t> wanted, std::uint64_t actual,
                   Appraisal& out) {
  if (wanted && actual < *wanted)
    out.reject("tcb", std::string{name} + " at least " + std::to_string(*wanted),
               std::to_string(actual));
}

void check_tcb(const SnpReport& report, AmdGeneration generation, const SnpPolicy& policy,
               Appraisal& out) {
  const auto tcb = decode_tcb(report.reported_tcb, generation);
  out.claim("reported_tcb", tcb_text(tcb, generation), Source::hardware);
  out.claim("launch_tcb", tcb_text(decode_tcb(report.launch_tcb, generation), generation),
            Source::hardware);
  check_minimum("boot loader", policy.bootloader_min, tcb.bootloader, out);
  check_minimum("TEE", policy.tee_min, tcb.tee, out);
  check_minimum("SNP firmware", policy.snp_min, tcb.snp, out);
  check_minimum("microcode", policy.microcode_min, tcb.microcode, out);
  check_minimum("FMC", policy.fmc_min, tcb.fmc, out);
  if (!policy.bootloader_min && !policy.tee_min && !policy.snp_min && !policy.microcode_min)
    out.warn(
        "tcb-minimum-not-set",
        "The policy names no minimum firmware: AMD publishes none that is signed, so that this "
        "firmware may have known flaws.");
}

void check_guest(const SnpReport& report, AmdGeneration generation, const SnpPolicy& policy,
                 Appraisal& out) {
  const std::string name{generation_name(generation)};
  if (std::ranges::find(policy.generations, name) == policy.generations.end())
    out.reject("generation", "a CPU generation that the policy accepts", name);
  if (report.debug() && !policy.debug)
    out.reject("debug", "a guest that cannot be debugged", "the guest policy's DEBUG bit is set");
  if (report.debug())
    out.warn("debug", "This guest can be debugged: the host may read and change its memory.");
  if (report.migration_agent() && !policy.migration_agent)
    out.reject("migration", "a guest without migration agent",
               "the guest policy's MIGRATE_MA bit is set");
  if (report.vmpl > policy.vmpl_max)
    out.reject("vmpl", "at most " + std::to_string(policy.vmpl_max), std::to_string(report.vmpl));
  else if (report.vmpl > 0)
    out.warn("vmpl",
             "The report comes from a less privileged level: what runs at level 0 shares in "
             "its trust.");
  if (report.guest_svn < policy.guest_svn_min)
    out.reject("guest-svn", std::to_string(policy.guest_svn_min), std::to_string(report.guest_svn));
}

void warn_hardware(AmdGeneration generation, Appraisal& out) {
  if (generation == AmdGeneration::milan)
    out.warn("keys-extracted",
             "Keys of CPUs of this generation have been extracted: whoever has one can forge any "
             "report of it.");
  out.warn("physical-attacks",
           "Whoever can open the machine may read or change its memory bus (TEE.fail, Battering "
           "RAM): know where it stands, or pin its chip id.");
}

class SnpEvidence final : public Evidence {
 public:
  explicit SnpEvidence(BytesView bytes) : bytes_{bytes.begin(), bytes.end()} {}
  std::string_view kind() const override { return "sev-snp"; }
  void appraise(const Context& context, Appraisal& out) const override {
    const auto report = parse_snp_report(bytes_);
    if (!report) {
      out.reject("format", "a well-formed SNP report", report.error());
      return;
    }
    check_report_data(report->report_data, context, out);
    appraise_snp_report(*report, context.collateral.certificates, context, out);
  }

 private:
  Bytes bytes_;
};

}  // namespace

void appraise_snp_report(const SnpReport& report, std::span<const CertificatePtr> certificates,
                         const Context& context, Appraisal& out) {
  if (report.unknown_generation) {
    out.reject("generation", "Milan, Genoa or Turin", "a CPU family or model that is none of them");
    return;
  }
  const auto key = find_key(report, certificates, context, out);
  if (!key) return;
  if (key->certificate->key->kind() != crypto::KeyKind::ecdsa_p384 ||
      !key->certificate->key->verify(crypto::SignatureScheme::ecdsa_sha384_raw, report.signed_part,
                                     report.signature)) {
    out.reject("report-signature", "a report signed by the chip's key",
               "its signature does not verify");
    return;
  }
  const auto& anchors = kAnchors[static_cast<std::size_t>(key->generation)];
  check_revocation(anchors, *root_certificate(key->vlek ? anchors.asvk : anchors.ask), certificates,
                   context, out);
  const auto& policy = context.policy.snp;
  out.claim("report_version", std::to_string(report.version), Source::hardware);
  out.claim("generation", std::string{generation_name(key->generation)}, Source::hardware);
  out.claim("signing_key", key->vlek ? "VLEK" : "VCEK", Source::hardware);
  out.claim("vmpl", std::to_string(report.vmpl), Source::hardware);
  out.claim("debug", report.debug() ? "allowed" : "off", Source::hardware);
  const NamedViews values{{"measurement", report.measurement},
                          {"host_data", report.host_data},
                          {"chip_id", report.chip_id},
                          {"id_key_digest", report.id_key_digest},
                          {"author_key_digest", report.author_key_digest},
                          {"family_id", report.family_id},
                          {"image_id", report.image_id},
                          {"report_id", report.report_id},
                          {"report_data", report.report_data}};
  for (const auto& [name, value] : values) out.claim(std::string{name}, value, Source::hardware);
  check_tcb(report, key->generation, policy, out);
  check_guest(report, key->generation, policy, out);
  check_denied(policy.denied, values, out);
  static constexpr std::array<std::string_view, 1> kCode{"measurement"};
  check_values(policy.values, values, kCode, context, out);
  warn_hardware(key->generation, out);
  out.complete();
}

std::optional<Result<std::vector<EvidencePtr>>> find_snp_report(const Document& document) {
  const auto bytes = document.bytes;
  if (bytes.size() != kSnpReportBytes) return std::nullopt;
  if (std::to_integer<unsigned>(bytes[0]) > 16 || bytes[1] != std::byte{0}) return std::nullopt;
  std::vector<EvidencePtr> all;
  all.push_back(std::make_unique<SnpEvidence>(bytes));
  return all;
}

}  // namespace tacit::attest
