#include "attest/policy_file.hpp"

#include <gtest/gtest.h>

namespace tacit::attest {
namespace {

TEST(PolicyFile, ReadsEveryKind) {
  const auto policy = parse_policy(R"(
base = "strict"
name = "ours"
require_nonce = false
collateral_age_max_s = 86400
evidence_age_max_s = 600
required = ["tdx", "nvidia-gpu"]
[tdx]
tcb_status = ["UpToDate", "SWHardeningNeeded"]
tcb_evaluation_min = 18
[tdx.values]
mr_td = ["00ff"]
[snp]
microcode_min = 84
vmpl_max = 1
[snp.denied]
chip_id = ["aa"]
[nvidia]
gpus_min = 8
[tpm]
keys = ["sha256:1111111111111111111111111111111111111111111111111111111111111111"]
)");
  ASSERT_TRUE(policy) << policy.error().explain();
  EXPECT_EQ(policy->name, "ours");
  EXPECT_TRUE(policy->require_measurements);
  EXPECT_FALSE(policy->require_nonce);
  EXPECT_EQ(policy->tdx.tcb_status.size(), 2U);
  EXPECT_EQ(policy->tdx.values.at(0).accepted.at(0).size(), 2U);
  EXPECT_EQ(policy->snp.microcode_min, 84U);
  EXPECT_EQ(policy->nvidia.gpus_min, 8U);
  EXPECT_EQ(policy->snp.denied.at(0).accepted.at(0), (Bytes{std::byte{0xaa}}));
  EXPECT_EQ(policy->tpm.keys.at(0).size(), 32U);
  EXPECT_EQ(policy->evidence_age_max_s, 600U);
}

TEST(PolicyFile, FailsClosed) {
  // Where toml++ itself would lose its way.
  EXPECT_EQ(parse_policy("base = \"strict\"\nx = {\xc6\x84").error().code(), Code::malformed);
  EXPECT_EQ(parse_policy("# caf\xc3\xa9").error().code(), Code::malformed);
  for (const auto* text :
       {"require_nonse = true", "base = \"lenient\"", "require_nonce = 1", "[tdx]\ndebugg = false",
        "[tdx.values]\nmr_td = [\"xyz\"]", "[tdx.values]\nmr_td = []",
        "[tdx.values]\nmr_td = \"00\"", "[snp]\nvmpl_max = -1", "[snp]\nmicrocode_min = \"84\"",
        "not toml", "[{", "[\n{\n", "[.", "a.{", "[gpu]\nx = 1", "[tpm]\nkeys = [\"00\"]",
        "[tpm]\nroots = [\"x\"]", "tdx = 1"}) {
    EXPECT_FALSE(parse_policy(text)) << text;
  }
  EXPECT_TRUE(parse_policy(""));
}

}  // namespace
}  // namespace tacit::attest
