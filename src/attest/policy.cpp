#include "attest/policy.hpp"

namespace tacit::attest {

std::optional<Policy> Policy::built_in(std::string_view name) {
  Policy policy;
  policy.name = name;
  if (name == "default") return policy;
  if (name == "strict") {
    policy.require_measurements = true;
    policy.require_nonce = true;
    policy.snp.require_crl = true;
    policy.snp.vmpl_max = 0;
    policy.snp.generations = {"Genoa", "Turin"};
    policy.tdx.tcb_evaluation_min = 17;
    policy.sgx.tcb_evaluation_min = 17;
    policy.tdx.advisories_allowed.clear();
    policy.sgx.advisories_allowed.clear();
    policy.nvidia.require_ocsp = true;
    return policy;
  }
  if (name == "development") {
    const std::vector<std::string> any{"UpToDate",
                                       "SWHardeningNeeded",
                                       "ConfigurationNeeded",
                                       "ConfigurationAndSWHardeningNeeded",
                                       "OutOfDate",
                                       "OutOfDateConfigurationNeeded"};
    policy.tdx.tcb_status = any;
    policy.sgx.tcb_status = any;
    policy.tdx.require_crl = false;
    policy.sgx.require_crl = false;
    policy.tdx.debug = true;
    policy.sgx.debug = true;
    policy.snp.debug = true;
    policy.nitro.debug = true;
    return policy;
  }
  return std::nullopt;
}

}  // namespace tacit::attest
