// BundleMaker answers for a server: hardware, devices, collateral, the operator's policy and the
// served models in one bundle, bound to a client's nonce and to the server's statement.
#pragma once

#include <filesystem>
#include <optional>

#include "attester/attester.hpp"
#include "attester/tpm.hpp"
#include "attester/tsm.hpp"

namespace tacit::attester {

// Choice is what the operator asks for.
enum class Choice : std::uint8_t { none, automatic, tdx, snp, tpm, nitro };

struct FindOptions {
  Choice choice = Choice::none;
  TsmOptions tsm;
  TpmOptions tpm;
};

// The attester of this machine; null for `none`, and for `automatic` on a machine where nothing
// can vouch for it. Errors: those of the attester that was named; for `automatic`, none.
Result<AttesterPtr> find_attester(const FindOptions& options);

struct BundleMakerOptions {
  std::filesystem::path collateral;  // a folder whose files go into every bundle; may be empty
  std::string policy;                // the operator's
  std::vector<attest::ServedModel> models;
};

class BundleMaker {
 public:
  // `devices` may be null.
  BundleMaker(AttesterPtr attester, DeviceAttesterPtr devices, BundleMakerOptions options);
  seal::Attester kind() const { return attester_->kind(); }
  // Blocks. Thread-safe. The folder of collateral is read each time, so that what is put there is
  // served at once. Errors: of the attesters; too_large.
  Result<Bytes> make(const Digest32& nonce, const Digest32& statement_digest) const;

 private:
  const AttesterPtr attester_;
  const DeviceAttesterPtr devices_;
  const BundleMakerOptions options_;
};

}  // namespace tacit::attester
