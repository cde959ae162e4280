#include "attest/snp_report.hpp"

#include <algorithm>

namespace tacit::attest {
namespace {

constexpr std::size_t kSignedBytes = 0x2a0;
constexpr std::size_t kFieldBytes = 72;  // of r and of s, little-endian
constexpr std::size_t kScalarBytes = 48;

std::uint64_t little(BytesView bytes, std::size_t at, std::size_t n) {
  std::uint64_t value = 0;
  for (std::size_t i = n; i-- > 0;)
    value = value << 8U | std::to_integer<std::uint64_t>(bytes[at + i]);
  return value;
}

bool zero(BytesView bytes) {
  return std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; });
}

// Families and models: AMD's processor programming references; as the kernel's SEV drivers tell
// the generations apart.
std::optional<AmdGeneration> from_cpuid(unsigned family, unsigned model) {
  if (family == 0x19 && model <= 0x0f) return AmdGeneration::milan;
  if (family == 0x19 && ((model >= 0x10 && model <= 0x1f) || (model >= 0xa0 && model <= 0xaf)))
    return AmdGeneration::genoa;
  if (family == 0x1a && model <= 0x1f) return AmdGeneration::turin;
  return std::nullopt;
}

Result<Bytes> signature_of(BytesView field) {
  Bytes out;
  for (const auto part : {field.first(kFieldBytes), field.subspan(kFieldBytes, kFieldBytes)}) {
    if (!zero(part.subspan(kScalarBytes)))
      return fail(Code::malformed, "padding of a report's signature is not zero");
    out.insert(out.end(), part.rend() - kScalarBytes, part.rend());
  }
  if (!zero(field.subspan(2 * kFieldBytes)))
    return fail(Code::malformed, "padding of a report's signature is not zero");
  return out;
}

}  // namespace

std::string_view generation_name(AmdGeneration generation) noexcept {
  switch (generation) {
    case AmdGeneration::milan: return "Milan";
    case AmdGeneration::genoa: return "Genoa";
    case AmdGeneration::turin: break;
  }
  return "Turin";
}

AmdTcb decode_tcb(std::uint64_t raw, AmdGeneration generation) noexcept {
  const auto byte = [&](unsigned i) { return static_cast<std::uint8_t>(raw >> (8 * i)); };
  if (generation == AmdGeneration::turin)
    return {.fmc = byte(0),
            .bootloader = byte(1),
            .tee = byte(2),
            .snp = byte(3),
            .microcode = byte(7)};
  return {.fmc = 0, .bootloader = byte(0), .tee = byte(1), .snp = byte(6), .microcode = byte(7)};
}

Result<SnpReport> parse_snp_report(BytesView b) {
  if (b.size() != kSnpReportBytes)
    return fail(Error{Code::malformed, "size of an SNP report"}
                    .with("bytes", static_cast<std::int64_t>(b.size()))
                    .with("expected", kSnpReportBytes));
  SnpReport out;
  out.version = static_cast<std::uint32_t>(little(b, 0, 4));
  if (out.version < 2 || out.version > 5)
    return fail(Error{Code::unsupported, "version of an SNP report"}.with("version", out.version));
  if (little(b, 0x34, 4) != 1)
    return fail(Code::unsupported, "signature algorithm of an SNP report");
  out.guest_svn = static_cast<std::uint32_t>(little(b, 0x04, 4));
  out.policy = little(b, 0x08, 8);
  out.family_id = b.subspan(0x10, 16);
  out.image_id = b.subspan(0x20, 16);
  out.vmpl = static_cast<std::uint32_t>(little(b, 0x30, 4));
  out.current_tcb = little(b, 0x38, 8);
  out.platform_info = little(b, 0x40, 8);
  out.key_info = static_cast<std::uint32_t>(little(b, 0x48, 4));
  const auto signing_key = out.key_info >> 2U & 7U;
  if (signing_key > 1)
    return fail(Error{Code::unsupported, "signing key of an SNP report"}.with("key", signing_key));
  out.report_data = b.subspan(0x50, 64);
  out.measurement = b.subspan(0x90, 48);
  out.host_data = b.subspan(0xc0, 32);
  out.id_key_digest = b.subspan(0xe0, 48);
  out.author_key_digest = b.subspan(0x110, 48);
  out.report_id = b.subspan(0x140, 32);
  out.reported_tcb = little(b, 0x180, 8);
  if (out.version >= 3) {
    out.generation = from_cpuid(static_cast<unsigned>(little(b, 0x188, 1)),
                                static_cast<unsigned>(little(b, 0x189, 1)));
    out.unknown_generation = !out.generation;
  }
  out.chip_id = b.subspan(0x1a0, 64);
  out.committed_tcb = little(b, 0x1e0, 8);
  out.launch_tcb = little(b, 0x1f0, 8);
  out.signed_part = b.first(kSignedBytes);
  TACIT_TRY(out.signature, signature_of(b.subspan(kSignedBytes)));
  return out;
}

}  // namespace tacit::attest
