#include "attester/maker.hpp"

#include <algorithm>

#include "attester/nitro.hpp"
#include "attester/os_file.hpp"

namespace tacit::attester {
namespace {

constexpr std::size_t kCollateralFilesMax = 128;

Result<AttesterPtr> named(Result<AttesterPtr> found, seal::Attester wanted) {
  if (found && (*found)->kind() != wanted)
    return fail(Error{Code::not_found, "this machine is confidential in another way"}.fix(
        "Say --attest auto, or the kind that `tacit attest` shows"));
  return found;
}

AttesterPtr find_any(const FindOptions& options) {
  if (auto found = open_tsm(options.tsm)) return *std::move(found);
  if (auto found = open_nitro()) return *std::move(found);
  // A TPM that nobody has certified proves nothing to a client.
  if (auto found = open_tpm(options.tpm); found && (*found)->certified()) return *std::move(found);
  return nullptr;
}

Result<std::vector<Bytes>> read_folder(const std::filesystem::path& folder) {
  std::vector<Bytes> out;
  if (folder.empty()) return out;
  std::vector<std::filesystem::path> files;
  std::error_code problem;
  std::filesystem::recursive_directory_iterator it{folder, problem};
  for (const std::filesystem::recursive_directory_iterator end; !problem && it != end;
       it.increment(problem)) {
    if (it->is_regular_file(problem)) files.push_back(it->path());
    if (files.size() > kCollateralFilesMax)
      return fail(Error{Code::too_large, "files in the folder of collateral"}.with(
          "limit", kCollateralFilesMax));
  }
  if (problem)
    return fail(Error{Code::not_found, "cannot read the folder of collateral"}.about(
        PublicText{folder.string()}));
  std::ranges::sort(files);
  for (const auto& file : files) {
    TACIT_TRY(auto bytes, read_kernel_file(file, attest::kEvidenceBytesMax));
    if (!bytes.empty()) out.push_back(std::move(bytes));
  }
  return out;
}

}  // namespace

Result<AttesterPtr> find_attester(const FindOptions& options) {
  switch (options.choice) {
    case Choice::automatic: return find_any(options);
    case Choice::tdx: return named(open_tsm(options.tsm), seal::Attester::tdx);
    case Choice::snp: return named(open_tsm(options.tsm), seal::Attester::snp);
    case Choice::nitro: return open_nitro();
    case Choice::tpm: {
      TACIT_TRY(auto found, open_tpm(options.tpm));
      if (!found->certified())
        return fail(Error{Code::not_found, "nobody has certified this TPM's attestation key"}.fix(
            "Have a certificate authority certify the key that `tacit attest` prints, and name the "
            "certificate with --tpm-certificate"));
      return found;
    }
    case Choice::none: break;
  }
  return AttesterPtr{};
}

BundleMaker::BundleMaker(AttesterPtr attester, DeviceAttesterPtr devices,
                         BundleMakerOptions options)
    : attester_{std::move(attester)}, devices_{std::move(devices)}, options_{std::move(options)} {}

Result<Bytes> BundleMaker::make(const Digest32& nonce, const Digest32& statement_digest) const {
  attest::Bundle bundle;
  bundle.policy = options_.policy;
  bundle.models = options_.models;
  if (devices_) {
    TACIT_TRY(bundle.devices, devices_->attest(attest::device_nonce(nonce, statement_digest)));
  }
  TACIT_TRY(bundle.collateral, read_folder(options_.collateral));
  TACIT_TRY(auto attested, attester_->attest(attest::report_data(nonce, statement_digest, bundle)));
  bundle.hardware = std::move(attested.evidence);
  std::ranges::move(attested.collateral, std::back_inserter(bundle.collateral));
  bundle.event_logs = std::move(attested.event_logs);
  auto bytes = attest::encode_bundle(bundle);
  if (const auto parsed = attest::parse_bundle(bytes); !parsed) return fail(parsed.error());
  return bytes;
}

}  // namespace tacit::attester
