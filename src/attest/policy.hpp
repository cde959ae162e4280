// What a relying party asks of evidence. A plain value: the built-in policies are three of them,
// and policy_file.hpp reads others from TOML. Empty lists of accepted values mean "any", and say so
// in a warning; every other default refuses.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "attest/x509.hpp"
#include "core/bytes.hpp"

namespace tacit::attest {

using AcceptedValues = std::vector<Bytes>;

struct NamedValues {
  std::string name;  // such as "mr_td" or "pcr4"
  AcceptedValues accepted;
};

struct IntelPolicy {
  std::vector<std::string> tcb_status{"UpToDate"};
  std::vector<std::string> advisories_allowed{"*"};
  std::uint64_t tcb_evaluation_min = 0;
  bool debug = false;
  bool require_crl = true;          // without a revocation list in force: no accept
  std::vector<NamedValues> values;  // registers by name, and "ppid", "fmspc"
  std::vector<NamedValues> denied;  // values of these names that are refused
};

struct SnpPolicy {
  std::vector<std::string> generations{"Milan", "Genoa", "Turin"};
  bool debug = false;
  bool migration_agent = false;
  bool require_crl = false;
  unsigned vmpl_max = 3;
  std::uint64_t guest_svn_min = 0;
  std::optional<std::uint64_t> bootloader_min, tee_min, snp_min, microcode_min, fmc_min;
  std::vector<NamedValues> values;  // "measurement", "host_data", "chip_id", ...
  std::vector<NamedValues> denied;
};

struct NvidiaPolicy {
  unsigned gpus_min = 0;
  unsigned switches_min = 0;
  bool require_ocsp = false;
  std::vector<NamedValues> values;
};

struct NitroPolicy {
  bool debug = false;
  std::vector<NamedValues> values;  // "pcr0"...
};

struct TpmPolicy {
  bool sha1 = false;                  // whether values of the SHA-1 bank count
  std::vector<Bytes> keys;            // SHA-256 of attestation keys (SubjectPublicKeyInfo) to trust
  std::vector<CertificatePtr> roots;  // of TPMs, beside the built-in ones of clouds
  std::vector<NamedValues> values;    // "pcr0"... of the SHA-256 bank
};

// What a server's evidence bundle must say beside the hardware's evidence (bundle.hpp).
struct EndpointPolicy {
  AcceptedValues models_required;  // SHA-256 of weights: each is served
  AcceptedValues models_allowed;   // SHA-256 of weights: nothing else is served; empty: anything
  AcceptedValues policies;         // SHA-256 of the operator's policy; empty: any
  bool any() const {
    return !models_required.empty() || !models_allowed.empty() || !policies.empty();
  }
};

struct Policy {
  std::string name = "default";
  bool require_measurements = false;  // evidence whose code is not pinned cannot be accepted
  bool require_nonce = false;         // evidence must be bound to a nonce or report data given
  std::optional<std::uint64_t> collateral_age_max_s;
  std::optional<std::uint64_t> evidence_age_max_s;  // where evidence says when it was made
  std::vector<std::string> required;  // kinds that must be there: "tdx", "sev-snp", "nvidia-gpu"...
  IntelPolicy tdx;
  IntelPolicy sgx;
  SnpPolicy snp;
  NvidiaPolicy nvidia;
  NitroPolicy nitro;
  TpmPolicy tpm;
  EndpointPolicy endpoint;

  // "default": genuine, up to date, no debug; the code may be any. "strict": also pinned code,
  // freshness, revocation known, no generation whose keys are known to have been extracted.
  // "development": debug and out-of-date machines pass; for trying things out.
  static std::optional<Policy> built_in(std::string_view name);
};

}  // namespace tacit::attest
