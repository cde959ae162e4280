#include "cli/evidence_report.hpp"

#include <algorithm>
#include <array>

namespace tacit::cli {
namespace {

constexpr std::string_view kIndent = "\n             ";
constexpr std::size_t kClaimsMax = 6;
constexpr std::size_t kValueBytesMax = 64;

std::string_view name_of(std::string_view kind) {
  if (kind == "tdx") return "Intel TDX";
  if (kind == "sev-snp") return "AMD SEV-SNP";
  if (kind == "tpm") return "TPM 2.0";
  if (kind == "nitro") return "AWS Nitro";
  if (kind == "nvidia-gpu") return "NVIDIA GPU";
  if (kind == "nvidia-switch") return "NVIDIA switch";
  return kind;
}

// The claims that say which code runs, and on what firmware.
bool is_telling(const attest::Claim& claim) {
  static constexpr std::array<std::string_view, 16> kNames{
      "mr_td",      "rtmr0",        "rtmr1", "rtmr2",      "rtmr3",  "measurement",
      "generation", "reported_tcb", "pcr0",  "tcb_status", "driver", "vbios",
      "pcr4",       "pcr8",         "pcr9",  "pcr11"};
  const bool zero = claim.value.find_first_not_of('0') == std::string::npos;
  return std::ranges::find(kNames, claim.name) != kNames.end() && !zero;
}

void put_warnings(std::string& out, const attest::Answer& answer) {
  std::vector<std::string> ids;
  for (const auto& piece : answer.pieces)
    for (const auto& warning : piece.warnings())
      if (std::ranges::find(ids, warning.id) == ids.end()) ids.push_back(warning.id);
  if (ids.empty()) return;
  out += kIndent;
  out += "not settled (docs/guide/evidence.md):";
  for (const auto& id : ids) out += " " + id;
}

}  // namespace

std::string evidence_report(const attest::Answer& answer, const std::string& policy) {
  std::string out;
  for (const auto& piece : answer.pieces) {
    if (piece.kind() == "endpoint") continue;
    out += out.empty() ? "Hardware     " : std::string{kIndent};
    out += name_of(piece.kind());
    if (out.size() < 40) out += ": accepted by policy \"" + policy + "\"";
    std::size_t count = 0;
    for (const auto& claim : piece.claims()) {
      if (!is_telling(claim) || count++ >= kClaimsMax) continue;
      out += std::string{kIndent} + "  " + claim.name + " " + claim.value.substr(0, kValueBytesMax);
      if (claim.value.size() > kValueBytesMax) out += "...";
    }
  }
  for (const auto& piece : answer.pieces)
    for (const auto& claim : piece.claims())
      if (piece.kind() == "endpoint" && claim.name == "model")
        out += "\nModel        " + claim.value;
  put_warnings(out, answer);
  return out;
}

}  // namespace tacit::cli
