#include "cli/attest_options.hpp"

#include <CLI/CLI.hpp>

#include "attester/nvidia.hpp"

namespace tacit::cli {
namespace {

constexpr const char* kGroup = "Attestation";

attester::DeviceAttesterPtr find_devices() {
  auto gpus = attester::open_nvidia();
  return gpus ? *std::move(gpus) : nullptr;
}

attester::Choice choice_of(const std::string& name) {
  if (name == "auto") return attester::Choice::automatic;
  if (name == "tdx") return attester::Choice::tdx;
  if (name == "snp") return attester::Choice::snp;
  if (name == "tpm") return attester::Choice::tpm;
  if (name == "nitro") return attester::Choice::nitro;
  return attester::Choice::none;
}

}  // namespace

void add_attest_options(CLI::App& command, AttestOptions& options) {
  command
      .add_option("--attest", options.attester,
                  "What vouches for this machine: auto, tdx, snp, tpm, nitro or none")
      ->check(CLI::IsMember({"auto", "tdx", "snp", "tpm", "nitro", "none"}))
      ->capture_default_str()
      ->group(kGroup);
  command
      .add_option("--tpm", options.tpm,
                  "The TPM, as tpm2-tools name it (default: device:/dev/tpmrm0)")
      ->group(kGroup);
  command
      .add_option("--tpm-certificate", options.tpm_certificate,
                  "Certificate of the TPM's attestation key and its intermediates, PEM")
      ->check(CLI::ExistingFile)
      ->group(kGroup);
  command
      .add_option("--tpm-event-log", options.tpm_event_log,
                  "What firmware measured (default: the kernel's copy)")
      ->check(CLI::ExistingFile)
      ->group(kGroup);
  command.add_option("--tsm-root", options.tsm_root, "Where configfs-tsm is")->group("");
}

attester::FindOptions find_options(const AttestOptions& options) {
  attester::FindOptions out;
  out.choice = choice_of(options.attester);
  out.tpm.tcti = options.tpm;
  out.tpm.certificate = options.tpm_certificate;
  if (!options.tpm_event_log.empty()) out.tpm.event_log = options.tpm_event_log;
  if (!options.tsm_root.empty()) out.tsm.root = options.tsm_root;
  return out;
}

HardwareEvidence::HardwareEvidence(attester::AttesterPtr attester,
                                   attester::BundleMakerOptions options)
    : maker_{std::move(attester), find_devices(), std::move(options)} {}

}  // namespace tacit::cli
