// AMD SEV-SNP attestation reports, versions 2 to 5.
// Layout: "SEV Secure Nested Paging Firmware ABI Specification" (56860), table ATTESTATION_REPORT.
// Views point into the bytes that were parsed.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/bytes.hpp"
#include "core/error.hpp"

namespace tacit::attest {

inline constexpr std::size_t kSnpReportBytes = 1184;

enum class AmdGeneration : std::uint8_t { milan, genoa, turin };
std::string_view generation_name(AmdGeneration generation) noexcept;

// The security versions of the firmware. From Turin on there is one more, and another encoding.
struct AmdTcb {
  std::uint8_t fmc = 0;
  std::uint8_t bootloader = 0;
  std::uint8_t tee = 0;
  std::uint8_t snp = 0;
  std::uint8_t microcode = 0;
  friend bool operator==(const AmdTcb&, const AmdTcb&) = default;
};
AmdTcb decode_tcb(std::uint64_t raw, AmdGeneration generation) noexcept;

struct SnpReport {
  std::uint32_t version = 0;
  std::uint32_t guest_svn = 0;
  std::uint64_t policy = 0;
  std::uint32_t vmpl = 0;
  std::uint64_t platform_info = 0;
  std::uint32_t key_info = 0;
  std::uint64_t current_tcb = 0, reported_tcb = 0, committed_tcb = 0, launch_tcb = 0;
  BytesView signed_part;
  BytesView family_id, image_id;               // 16
  BytesView report_data;                       // 64
  BytesView measurement;                       // 48
  BytesView host_data;                         // 32
  BytesView id_key_digest, author_key_digest;  // 48
  BytesView report_id;                         // 32
  BytesView chip_id;                           // 64
  std::optional<AmdGeneration> generation;     // from CPUID, version 3 on
  bool unknown_generation = false;             // CPUID is there, but of no generation known here
  Bytes signature;                             // r || s, big-endian

  bool signed_by_vlek() const noexcept { return (key_info >> 2U & 7U) == 1; }
  bool debug() const noexcept { return (policy >> 19U & 1U) != 0; }
  bool migration_agent() const noexcept { return (policy >> 18U & 1U) != 0; }
};

// Refuses bits that the signature does not cover and that are not zero. Errors: malformed,
// unsupported (version, algorithm, signing key).
Result<SnpReport> parse_snp_report(BytesView bytes);

}  // namespace tacit::attest
