// Intel's signed statements about platforms: TCB info (version 3) and quoting-enclave identities
// (version 2), as the Provisioning Certification Service, version 4, serves them.
// https://api.portal.trustedservices.intel.com/content/documentation.html
#pragma once

#include <array>
#include <string>
#include <vector>

#include "attest/x509.hpp"

namespace tacit::attest {

// The worse, the later, except that unknown text is refused when parsing.
enum class TcbStatus : std::uint8_t {
  up_to_date,
  sw_hardening_needed,
  configuration_needed,
  configuration_and_sw_hardening_needed,
  out_of_date,
  out_of_date_configuration_needed,
  revoked,
};
std::string_view tcb_status_name(TcbStatus status) noexcept;

struct TcbLevel {
  std::array<std::uint8_t, 16> sgx{};
  std::array<std::uint8_t, 16> tdx{};
  std::uint64_t pce_svn = 0;
  std::uint64_t isv_svn = 0;  // of enclave and module levels
  TcbStatus status{};
  std::string date;
  std::vector<std::string> advisories;
};

struct TdxModuleIdentity {
  std::string id;
  Bytes mrsigner;         // 48
  Bytes attributes;       // 8
  Bytes attributes_mask;  // 8
  std::vector<TcbLevel> levels;
};

// What both statements have in common. `signed_text` is exactly what was signed.
struct IntelStatement {
  std::string signed_text;
  Bytes signature;                           // r || s
  std::vector<CertificatePtr> issuer_chain;  // may be empty: found elsewhere then
  std::string id;
  UnixTime issue_date;
  UnixTime next_update;
  std::uint64_t evaluation_number = 0;
};

struct TcbInfo : IntelStatement {
  Bytes fmspc;               // 6
  Bytes pce_id;              // 2
  TdxModuleIdentity module;  // of TDX 1.0; unused for SGX
  std::vector<TdxModuleIdentity> modules;
  std::vector<TcbLevel> levels;
};

struct QeIdentity : IntelStatement {
  Bytes misc_select, misc_select_mask;  // 4
  Bytes attributes, attributes_mask;    // 16
  Bytes mrsigner;                       // 32
  std::uint64_t isv_prod_id = 0;
  std::vector<TcbLevel> levels;
};

// `text` is the bare statement, without the object around it. Not yet verified. Errors: malformed,
// unsupported (versions).
Result<TcbInfo> parse_tcb_info(std::string_view text);
Result<QeIdentity> parse_qe_identity(std::string_view text);

}  // namespace tacit::attest
