// Options of the commands that ask this machine's hardware, and what they make.
#pragma once

#include <memory>
#include <string>

#include "attester/maker.hpp"
#include "gateway/evidence_source.hpp"

namespace CLI {
class App;
}

namespace tacit::cli {

struct AttestOptions {
  std::string attester = "none";  // or auto, tdx, snp, tpm, nitro
  std::string tpm;                // as tpm2-tools name it
  std::string tpm_certificate;
  std::string tpm_event_log;
  std::string tsm_root;
};

void add_attest_options(CLI::App& command, AttestOptions& options);
attester::FindOptions find_options(const AttestOptions& options);

// HardwareEvidence is what the gateway asks: bundles of one machine.
class HardwareEvidence final : public gateway::EvidenceSource {
 public:
  // GPUs in confidential mode are asked, too, where there are any.
  HardwareEvidence(attester::AttesterPtr attester, attester::BundleMakerOptions options);
  seal::Attester attester() const override { return maker_.kind(); }
  Result<Bytes> bundle(const seal::EvidenceNonce& nonce,
                       const crypto::Sha256Digest& statement) override {
    return maker_.make(nonce, statement);
  }

 private:
  attester::BundleMaker maker_;
};

}  // namespace tacit::cli
