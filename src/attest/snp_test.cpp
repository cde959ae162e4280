// Real SEV-SNP reports with real certificates.
#include "attest/attest_testing.hpp"
#include "attest/snp_report.hpp"

namespace tacit::attest {
namespace {

using testing::Ask;
using testing::ask;
using testing::claim;
using testing::Fixture;
using testing::has_rule;
using testing::has_warning;
using testing::read_fixture;

const std::string kAmd = "amd-sev-snp/";
using SnpFixture = Fixture;

Ask milan() {
  return {{kAmd + "milan_v2_vcek/report.bin"},
          {kAmd + "milan_v2_vcek/vcek.der"},
          "2025-06-01T00:00:00Z"};
}
Ask vlek() {
  return {{kAmd + "milan_v3_vlek/report.bin"},
          {kAmd + "milan_v3_vlek/vlek.der"},
          "2025-06-01T00:00:00Z"};
}

TEST_F(SnpFixture, AcceptsReports) {
  const auto v2 = ask(milan());
  EXPECT_EQ(v2.verdict, Verdict::accept) << render_text(v2);
  EXPECT_EQ(claim(v2, "reported_tcb"), "boot loader 3, TEE 0, SNP 8, microcode 115");
  EXPECT_TRUE(has_warning(v2, "keys-extracted"));
  EXPECT_TRUE(has_warning(v2, "revocation-unknown"));
  const auto v3 = ask(vlek());
  EXPECT_EQ(v3.verdict, Verdict::accept) << render_text(v3);
  EXPECT_EQ(claim(v3, "signing_key"), "VLEK");
  EXPECT_EQ(claim(v3, "vmpl"), "1");
}

TEST_F(SnpFixture, RevocationLists) {
  auto question = milan();
  question.collateral.push_back(kAmd + "crl/milan.crl.der");
  const auto good = ask(question);
  EXPECT_EQ(good.verdict, Verdict::accept) << render_text(good);
  EXPECT_FALSE(has_warning(good, "revocation-unknown"));
  for (const auto* at : {"2025-05-01T00:00:00Z", "2026-05-13T00:00:00Z"}) {
    question.at = at;  // the list is not in force
    EXPECT_TRUE(has_rule(ask(question), "revocation")) << at;
    EXPECT_EQ(ask(question).verdict, Verdict::reject) << at;
  }
  question = milan();
  question.policy.snp.require_crl = true;
  EXPECT_EQ(ask(question).verdict, Verdict::cannot_tell);
  question.collateral.push_back(kAmd + "crl/genoa.crl.der");
  EXPECT_EQ(ask(question).verdict, Verdict::cannot_tell);
}

TEST_F(SnpFixture, RefusesDebugGuests) {
  Ask question{{kAmd + "milan_v2_debug/report.bin"},
               {kAmd + "milan_v2_debug/vcek.der", kAmd + "milan_v2_debug/ask_ark_milan.pem"},
               "2025-06-01T00:00:00Z"};
  const auto answer = ask(question);
  EXPECT_EQ(answer.verdict, Verdict::reject);
  ASSERT_EQ(answer.pieces[0].reasons().size(), 1U) << render_text(answer);
  EXPECT_TRUE(has_rule(answer, "debug"));
  question.policy = Policy::built_in("development").value();
  EXPECT_EQ(ask(question).verdict, Verdict::accept);
}

TEST_F(SnpFixture, CertificatesMustFit) {
  auto question = milan();
  question.collateral.clear();
  EXPECT_EQ(ask(question).verdict, Verdict::cannot_tell);
  for (const auto* other :
       {"milan_v2_debug/vcek.der", "genoa_v3_azure/vcek.der", "turin/vcek.der",
        "negative/vcek_bad_signature_legacy.der", "negative/vcek_bad_signature_new.der"}) {
    question.collateral = {kAmd + other};
    EXPECT_EQ(ask(question).verdict, Verdict::reject) << other;
  }
  // A VLEK is no VCEK.
  question.collateral = {kAmd + "milan_v3_vlek/vlek.der"};
  EXPECT_NE(ask(question).verdict, Verdict::accept);
  auto expired = vlek();
  expired.at = "2025-12-11T00:00:00Z";
  EXPECT_EQ(ask(expired).verdict, Verdict::reject);
  const auto missing =
      ask({{kAmd + "milan_v4_gce_no_vcek/report.bin"}, {}, "2025-06-01T00:00:00Z"});
  EXPECT_EQ(missing.verdict, Verdict::cannot_tell) << render_text(missing);
}

TEST_F(SnpFixture, PolicyRules) {
  auto question = milan();
  question.policy.snp.microcode_min = 116;
  EXPECT_TRUE(has_rule(ask(question), "tcb"));
  question.policy.snp.microcode_min = 115;
  EXPECT_EQ(ask(question).verdict, Verdict::accept);
  question.policy.snp.generations = {"Genoa", "Turin"};
  EXPECT_TRUE(has_rule(ask(question), "generation"));
  question = vlek();
  question.policy.snp.vmpl_max = 0;
  EXPECT_TRUE(has_rule(ask(question), "vmpl"));
  question = milan();
  question.policy.snp.values = {{"chip_id", {Bytes(64)}}};
  EXPECT_TRUE(has_rule(ask(question), "values"));
}

TEST_F(SnpFixture, NoDamagedReportIsAccepted) {
  for (const auto& question : {milan(), vlek()}) {
    const auto original = read_fixture(question.evidence[0]);
    EXPECT_EQ(testing::accepted_when_damaged(question, original), std::vector<std::size_t>{});
  }
}

TEST_F(SnpFixture, NoDamagedCertificateIsAccepted) {
  const auto question = milan();
  const std::vector<Input> evidence{{"report", read_fixture(question.evidence[0])}};
  const auto original = read_fixture(question.collateral[0]);
  for (std::size_t i = 0; i < original.size(); ++i) {
    std::vector<Input> collateral{{"damaged", original}};
    collateral[0].bytes[i] ^= static_cast<std::byte>(1U << (i % 8));
    EXPECT_NE(appraise({evidence, collateral, {}, parse_time(question.at).value(), {}, {}}).verdict,
              Verdict::accept)
        << i;
  }
}

TEST(Snp, TcbEncodings) {
  const std::uint64_t raw = 0x7308000000000a03;
  EXPECT_EQ(decode_tcb(raw, AmdGeneration::milan),
            (AmdTcb{.fmc = 0, .bootloader = 3, .tee = 10, .snp = 8, .microcode = 0x73}));
  EXPECT_EQ(decode_tcb(0x4d00000004030201, AmdGeneration::turin),
            (AmdTcb{.fmc = 1, .bootloader = 2, .tee = 3, .snp = 4, .microcode = 0x4d}));
}

}  // namespace
}  // namespace tacit::attest
