// tpm2-tss (libtss2-esys, -mu, -tctildr), loaded when it is there: a server without a TPM needs
// none of it, and the packaged program runs on machines that do not have it. Private to this
// module.
#pragma once

#include <tss2/tss2_esys.h>
#include <tss2/tss2_mu.h>
#include <tss2/tss2_tctildr.h>

#include <memory>
#include <string>

#include "attester/library.hpp"
#include "core/bytes.hpp"
#include "core/error.hpp"
#include "core/secret.hpp"

namespace tacit::attester {

// Tss is the functions that are used here, under the names of the specification ("TCG TSS 2.0
// Enhanced System API", without "Esys_").
struct Tss {
  // Errors: not_found, with the package to install.
  static Result<Tss> load();

  Library esys, mu, tctildr;
  decltype(Tss2_TctiLdr_Initialize)* tcti_initialize;
  decltype(Tss2_TctiLdr_Finalize)* tcti_finalize;
  decltype(Esys_Initialize)* initialize;
  decltype(Esys_Finalize)* finalize;
  decltype(Esys_Free)* free;
  decltype(Esys_CreatePrimary)* create_primary;
  decltype(Esys_ReadPublic)* read_public;
  decltype(Esys_FlushContext)* flush_context;
  decltype(Esys_GetCapability)* get_capability;
  decltype(Esys_TR_FromTPMPublic)* from_handle;
  decltype(Esys_NV_ReadPublic)* nv_read_public;
  decltype(Esys_NV_Read)* nv_read;
  decltype(Esys_PCR_Read)* pcr_read;
  decltype(Esys_Quote)* quote;
  decltype(Esys_StartAuthSession)* start_session;
  decltype(Esys_PolicySecret)* policy_secret;
  decltype(Esys_ActivateCredential)* activate_credential;
  decltype(Tss2_MU_TPMT_SIGNATURE_Marshal)* marshal_signature;
  decltype(Tss2_MU_TPMT_PUBLIC_Unmarshal)* unmarshal_public;
  decltype(Tss2_MU_TPM2B_PUBLIC_Marshal)* marshal_public;
  decltype(Tss2_MU_TPM2B_ID_OBJECT_Unmarshal)* unmarshal_credential;
  decltype(Tss2_MU_TPM2B_ENCRYPTED_SECRET_Unmarshal)* unmarshal_secret;
};

// TpmConnection is one conversation with a TPM. Not thread-safe. Everything that it made is gone
// from the TPM when it ends.
class TpmConnection {
 public:
  // `tcti` as tpm2-tools take it: "device:/dev/tpmrm0", "swtpm:host=127.0.0.1,port=2321".
  // Errors: not_found (the library), unavailable (no TPM there).
  static Result<std::unique_ptr<TpmConnection>> open(const std::string& tcti);
  ~TpmConnection();
  TpmConnection(const TpmConnection&) = delete;
  TpmConnection& operator=(const TpmConnection&) = delete;

  struct Key {
    ESYS_TR handle = ESYS_TR_NONE;
    TPMT_PUBLIC area{};
  };
  // A primary key of the endorsement hierarchy: the same each time for the same template and TPM.
  Result<Key> create_primary(const TPMT_PUBLIC& form);
  // Error: not_found.
  Result<Key> open_persistent(TPM2_HANDLE handle);
  // Error: not_found when there is no such index, or it may not be read.
  Result<Bytes> read_nv(TPM2_HANDLE index);
  // The 24 PCRs of the SHA-256 bank.
  Result<std::vector<Bytes>> read_pcrs();
  struct Quote {
    Bytes message;    // TPMS_ATTEST
    Bytes signature;  // TPMT_SIGNATURE
  };
  // What `credential` hides, if it was made for the name of `key` and for `endorsement`, whose use
  // the usual policy of endorsement keys allows. Errors: malformed, forbidden (it was not).
  Result<SecretBytes> activate(const Key& key, const Key& endorsement, BytesView credential);
  Result<Quote> quote(const Key& key, BytesView qualifying_data, std::uint32_t pcrs);

  const Tss& tss() const noexcept { return tss_; }

 private:
  // Asked first, because tpm2-tss writes an error to the terminal for every handle that is not
  // there.
  bool has_handle(TPM2_HANDLE handle);
  explicit TpmConnection(Tss tss) : tss_{std::move(tss)} {}
  Tss tss_;
  TSS2_TCTI_CONTEXT* tcti_ = nullptr;
  ESYS_CONTEXT* context_ = nullptr;
  std::vector<ESYS_TR> transient_;
};

}  // namespace tacit::attester
