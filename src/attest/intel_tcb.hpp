// Matching what a platform reports against Intel's TCB levels. Pure. After the algorithm of
// https://api.portal.trustedservices.intel.com (get TCB info, "determining the status") and the
// Quote Verification Library's rules for the TDX module.
#pragma once

#include <optional>

#include "attest/intel_collateral.hpp"
#include "attest/intel_quote.hpp"

namespace tacit::attest {

// What a PCK certificate says about its platform (Intel, SGX PCK certificate profile,
// section 1.3.5).
struct PckPlatform {
  std::array<std::uint8_t, 16> components{};
  std::uint64_t pce_svn = 0;
  Bytes ppid;                  // 16
  Bytes pce_id;                // 2
  Bytes fmspc;                 // 6
  bool multi_package = false;  // issued by the Platform CA
  std::optional<bool> smt;
};
// Errors: malformed.
Result<PckPlatform> parse_pck_extension(const Certificate& pck);

struct TcbMatch {
  TcbStatus status{};
  std::string date;
  std::vector<std::string> advisories;
};

// The first level that the platform reaches; nullopt when it is below all of them ("TCB not
// supported"), which is neither up to date nor out of date.
std::optional<TcbMatch> match_platform(const TcbInfo& info, const PckPlatform& platform,
                                       const TdReport* td);
// The TDX module's identity and level. Errors in words; nullptr when it matched.
std::optional<TcbMatch> match_module(const TcbInfo& info, const TdReport& td, std::string& problem);
std::optional<TcbMatch> match_enclave(const std::vector<TcbLevel>& levels, std::uint64_t isv_svn);

// The worse of both, in Intel's sense: out of date and needing configuration add up.
TcbStatus combine(TcbStatus a, TcbStatus b) noexcept;

}  // namespace tacit::attest
