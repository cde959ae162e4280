// TPM 2.0 through tpm2-tss: a quote over the boot PCRs by an attestation key of this TPM.
//
// The key is a primary key of the endorsement hierarchy (ECC P-256, restricted, signing), so it is
// the same after each start and lives nowhere else. Its certificate is what makes a quote worth
// anything: from a file that the operator names, or from the TPM itself where a cloud has put one
// (Google: NV 0x01c10002 with its template at 0x01c10003, or RSA at 0x01c10000 and 0x01c10001;
// Azure: NV 0x01c101d0 for the key at 0x81000003).
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "attester/attester.hpp"
#include "core/secret.hpp"
#include "crypto/sign.hpp"

namespace tacit::attester {

inline constexpr const char* kTpmDevice = "/dev/tpmrm0";

struct TpmOptions {
  std::string tcti;  // as tpm2-tools take it; empty: kTpmDevice
  // PEM: the attestation key's certificate and its intermediates. Empty: what the TPM holds.
  std::filesystem::path certificate;
  std::filesystem::path event_log = "/sys/kernel/security/tpm0/binary_bios_measurements";
};

class TpmAttester : public Attester {
 public:
  // The public attestation key: what a certificate authority certifies.
  virtual const crypto::VerifyingKey& key() const = 0;
  // Whether there is a certificate for it. Without one no client can accept a quote.
  virtual bool certified() const = 0;
  // The certificates of the endorsement keys that the maker has put into the TPM, DER.
  virtual const std::vector<Bytes>& endorsement_certificates() const = 0;
  // The attestation key as the TPM describes it, a TPM2B_PUBLIC: an authority checks its attributes
  // and computes its name.
  virtual const Bytes& public_area() const = 0;
  // Credential activation (TPM 2.0 Library, part 1, section 24): opens what an authority has made
  // for this key and the RSA endorsement key, which shows it that both are in one TPM. Errors:
  // malformed, forbidden (made for others), unavailable.
  virtual Result<SecretBytes> activate(BytesView credential) = 0;
};

// Errors: not_found (tpm2-tss, the certificate file), unavailable (no TPM, or it does not answer),
// unsupported (no PCRs of SHA-256).
Result<std::unique_ptr<TpmAttester>> open_tpm(TpmOptions options);

}  // namespace tacit::attester
