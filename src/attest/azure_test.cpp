// Real evidence of Azure's confidential VMs and of TPMs.
#include "attest/azure.hpp"

#include <array>

#include "attest/attest_testing.hpp"
#include "attest/tpm_quote.hpp"

namespace tacit::attest {
namespace {

using testing::Ask;
using testing::ask;
using testing::claim;
using testing::has_rule;
using testing::has_warning;
using testing::read_fixture;

using AzureFixture = testing::Fixture;
using TpmFixture = testing::Fixture;
const std::string kSnp = "tpm/azure_snp_vtpm/";

Ask genoa() {
  return {{"amd-sev-snp/genoa_v3_azure/hcl_report.bin"},
          {"amd-sev-snp/genoa_v3_azure/vcek.der"},
          "2025-07-01T00:00:00Z"};
}
Ask with_vtpm() { return {{kSnp + "evidence_v1.json"}, {}, "2025-06-01T00:00:00Z"}; }

TEST_F(AzureFixture, AcceptsHclReports) {
  const auto answer = ask(genoa());
  EXPECT_EQ(answer.verdict, Verdict::accept) << render_text(answer);
  EXPECT_EQ(claim(answer, "generation"), "Genoa");
  EXPECT_TRUE(has_warning(answer, "vtpm-not-quoted"));
  const auto milan = ask({{kSnp + "hcl_report.bin"}, {kSnp + "vcek.pem"}, "2025-06-01T00:00:00Z"});
  EXPECT_EQ(milan.verdict, Verdict::accept) << render_text(milan);
  const auto td = ask({{"tpm/azure_tdx_2025/hcl_report.bin"}, {}, "2026-03-01T00:00:00Z"});
  EXPECT_EQ(td.verdict, Verdict::cannot_tell) << render_text(td);
}

TEST_F(AzureFixture, AcceptsReportsWithQuotesOfTheirVtpm) {
  for (const auto* name : {"evidence_v0.json", "evidence_v1.json"}) {
    auto question = with_vtpm();
    question.evidence = {kSnp + name};
    const auto answer = ask(question);
    EXPECT_EQ(answer.verdict, Verdict::accept) << render_text(answer);
    EXPECT_FALSE(claim(answer, "pcr4").empty());
    EXPECT_FALSE(has_warning(answer, "vtpm-not-quoted"));
  }
  auto question = with_vtpm();
  question.nonce = "6368616c6c656e6765";  // "challenge"
  EXPECT_EQ(ask(question).verdict, Verdict::accept) << render_text(ask(question));
  question.nonce = "00";
  EXPECT_TRUE(has_rule(ask(question), "nonce"));
  question = with_vtpm();
  question.policy.tpm.values = {{"pcr4", {Bytes(32)}}};
  EXPECT_TRUE(has_rule(ask(question), "values"));
  const auto td = ask({{"tpm/azure_tdx_vtpm/evidence_v1.json"},
                       {"intel-tdx/collateral/dcap-2025-06-fmspc-b0c06f.json"},
                       "2025-06-25T00:00:00Z"});
  EXPECT_EQ(td.verdict, Verdict::cannot_tell) << render_text(td);
  EXPECT_TRUE(has_rule(td, "tcb-info"));
}

TEST_F(AzureFixture, NoDamagedReportIsAccepted) {
  const auto original = read_fixture(genoa().evidence[0]);
  EXPECT_EQ(testing::accepted_when_damaged(genoa(), original), std::vector<std::size_t>{});
}

TEST_F(AzureFixture, NoDamagedQuoteIsAccepted) {
  const auto original = read_fixture(with_vtpm().evidence[0]);
  const auto text = as_text(original);
  SignatureMemory memory;
  for (const std::string_view name : {"\"message\":", "\"signature\":", "\"hcl_report\":"}) {
    const auto begin = text.find('"', text.find(name) + name.size()) + 1;
    const auto end = text.find('"', begin);
    for (std::size_t i = begin; i < end; i += 7) {
      std::vector<Input> evidence{{"damaged", original}};
      evidence[0].bytes[i] ^= std::byte{1};
      const Question damaged{evidence, {}, {}, parse_time(with_vtpm().at).value(), {}, {}};
      EXPECT_NE(appraise(damaged, memory).verdict, Verdict::accept) << name << i - begin;
    }
  }
}

TEST_F(TpmFixture, AKeyThatComesAlongProvesNoTpm) {
  const auto own = ask({{"tpm/tpm_quote_with_ak.json"}, {}, "2025-06-01T00:00:00Z"});
  EXPECT_EQ(own.verdict, Verdict::cannot_tell) << render_text(own);
  EXPECT_TRUE(has_rule(own, "tpm-key"));
  EXPECT_FALSE(claim(own, "pcr0").empty());
  for (const auto* name : {"tpm/tpms_attest_sample.bin", "tpm/azure_snp_vtpm/tpm_quote.json",
                           "tpm/azure_snp_vtpm/negative_quote_of_other_ak.msg"})
    EXPECT_EQ(ask({{name}, {}, "2025-06-01T00:00:00Z"}).verdict, Verdict::cannot_tell) << name;
}

TEST_F(TpmFixture, NoPrefixParses) {
  const auto bytes = read_fixture("tpm/tpms_attest_sample.bin");
  const auto quote = parse_tpm_quote(bytes);
  ASSERT_TRUE(quote);
  EXPECT_EQ(quote->selections.at(0).pcrs, (std::vector<unsigned>{0, 1, 2}));
  for (std::size_t n = 0; n < bytes.size(); ++n)
    EXPECT_FALSE(parse_tpm_quote(BytesView{bytes}.first(n)));
}

}  // namespace
}  // namespace tacit::attest
