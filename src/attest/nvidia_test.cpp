// Real evidence of GPUs and switches, with real RIMs.
#include "attest/nvidia.hpp"

#include "attest/attest_testing.hpp"

namespace tacit::attest {
namespace {

using testing::Ask;
using testing::ask;
using testing::claim;
using testing::has_rule;
using testing::has_warning;
using testing::read_fixture;

using NvidiaFixture = testing::Fixture;
const std::string kEvidence = "nvidia/evidence/";
const std::string kRims = "nvidia/rim/";

Ask one_switch() {
  return {{kEvidence + "switch_ls10_x1.json"},
          {kRims + "switch_5612_0002_890_9610550001.xml"},
          "2026-11-01T00:00:00Z"};
}

TEST_F(NvidiaFixture, AcceptsASwitchWithItsRim) {
  const auto answer = ask(one_switch());
  EXPECT_EQ(answer.verdict, Verdict::accept) << render_text(answer);
  EXPECT_EQ(claim(answer, "vbios_measurements"), "31 of 31 equal NVIDIA's reference values");
  EXPECT_EQ(answer.pieces.at(0).kind(), "nvidia-switch");
  for (const auto* at : {"2026-05-19T00:00:00Z", "2027-11-03T00:00:00Z"}) {
    auto question = one_switch();
    question.at = at;  // outside of the life of the RIM's signer
    EXPECT_EQ(ask(question).verdict, Verdict::reject) << at;
  }
  auto question = one_switch();
  question.collateral.clear();
  EXPECT_EQ(ask(question).verdict, Verdict::cannot_tell);
}

TEST_F(NvidiaFixture, ComparesAGpuWithItsRims) {
  Ask question{
      {kEvidence + "hopper_535.86.09_report.hex"},
      {kEvidence + "hopper_535.86.09_chain.pem", kRims + "vbios_1010_0200_882_96005E0001.xml",
       kRims + "vbios_1010_0200_882_960074001C.xml"},
      "2024-06-01T00:00:00Z"};
  const auto answer = ask(question);
  EXPECT_EQ(answer.verdict, Verdict::cannot_tell) << render_text(answer);  // no driver RIM
  EXPECT_EQ(claim(answer, "vbios_measurements"), "12 of 12 equal NVIDIA's reference values");
  EXPECT_EQ(claim(answer, "driver_version"), "535.86.09");
  question.collateral.push_back(kRims + "negative/vbios_96005E0001_reissued_other_measurement.xml");
  const auto reissued = ask(question);
  EXPECT_EQ(reissued.verdict, Verdict::reject);
  EXPECT_TRUE(has_rule(reissued, "measurement")) << render_text(reissued);
  question.collateral.back() = kRims + "negative/driver_535.86.09_tampered.xml";
  question.at = "2025-06-01T00:00:00Z";
  const auto tampered = ask(question);
  EXPECT_EQ(tampered.verdict, Verdict::reject);
  EXPECT_TRUE(has_rule(tampered, "rim")) << render_text(tampered);
}

TEST_F(NvidiaFixture, AnOldRimIsAMismatch) {
  const auto answer =
      ask({{kEvidence + "hopper_570.124.03_report.hex"},
           {kEvidence + "hopper_570.124.03_chain.pem", kRims + "vbios_1010_0205_862_96005E0004.xml",
            kRims + "negative/driver_570.124.03_expired.xml"},
           "2025-01-01T12:00:00Z"});
  EXPECT_EQ(answer.verdict, Verdict::reject);
  EXPECT_EQ(claim(answer, "vbios_measurements"), "11 of 12 equal NVIDIA's reference values")
      << render_text(answer);
}

TEST_F(NvidiaFixture, ChainsMustBeComplete) {
  const auto with = [](const std::string& chain) {
    return ask(
        {{kEvidence + "hopper_550.90.07_report.hex"}, {kEvidence + chain}, "2026-11-01T00:00:00Z"});
  };
  EXPECT_EQ(with("hopper_chain_case1.pem").verdict, Verdict::cannot_tell);
  for (const auto* broken : {"hopper_chain_case2.pem", "hopper_chain_case3.pem",
                             "hopper_chain_case4.pem", "hopper_535.86.09_chain.pem"})
    EXPECT_EQ(with(broken).verdict, Verdict::reject) << broken;
  EXPECT_EQ(ask({{kEvidence + "hopper_550.90.07_report.hex"}, {}, "2026-11-01T00:00:00Z"}).verdict,
            Verdict::cannot_tell);
}

TEST_F(NvidiaFixture, RefusesBadSignatures) {
  EXPECT_EQ(ask({{"nvidia/negative/hopper_report_bad_signature.hex"},
                 {kEvidence + "hopper_535.86.09_chain.pem"},
                 "2026-11-01T00:00:00Z"})
                .verdict,
            Verdict::reject);
  EXPECT_EQ(ask({{"nvidia/negative/switch_report_bad_signature.hex"},
                 {"nvidia/negative/switch_chain.pem"},
                 "2026-11-01T00:00:00Z"})
                .verdict,
            Verdict::reject);
  EXPECT_EQ(ask({{"nvidia/negative/eat_alg_none.json"}, {}, "2026-11-01T00:00:00Z"}).verdict,
            Verdict::reject);
}

TEST_F(NvidiaFixture, RimsThatAreNoGood) {
  auto question = one_switch();
  for (const auto* bad : {"switch_bad_signature.xml", "switch_relabelled_gpu_rim.xml"}) {
    question.collateral = {kRims + "negative/" + bad};
    for (const auto* at : {"2025-01-01T00:00:00Z", "2026-11-01T00:00:00Z"}) {
      question.at = at;
      EXPECT_EQ(ask(question).verdict, Verdict::reject) << bad << render_text(ask(question));
    }
  }
  const auto rim = [](const std::string& name) { return parse_rim(read_fixture(kRims + name)); };
  SignatureMemory memory;
  const auto good = [&](const std::string& name, const char* at) {
    Appraisal out{"", ""};
    const auto parsed = rim(name);
    return parsed && check_rim(*parsed, parse_time(at).value(), memory, out);
  };
  EXPECT_TRUE(good("driver_550.144.03.xml", "2025-06-01T00:00:00Z"));
  EXPECT_FALSE(good("driver_550.144.03.xml", "2024-12-29T00:00:00Z"));
  EXPECT_TRUE(good("vbios_1010_0205_862_96005E0004.xml", "2024-06-01T00:00:00Z"));
  EXPECT_TRUE(good("vbios_g520_0200_885_9600740001.xml", "2024-06-01T00:00:00Z"));
  EXPECT_FALSE(good("negative/driver_550.144.03_bad_signature.xml", "2025-06-01T00:00:00Z"));
  EXPECT_FALSE(good("negative/driver_570.124.03_expired.xml", "2025-01-01T12:00:00Z"));
  EXPECT_FALSE(good("negative/driver_wrong_chain.xml", "2025-06-01T00:00:00Z"));
  EXPECT_FALSE(good("negative/driver_535.86.09_tampered.xml", "2025-06-01T00:00:00Z"));
  EXPECT_FALSE(good("negative/switch_bad_signature.xml", "2025-06-01T00:00:00Z"));
}

TEST_F(NvidiaFixture, ManyDevices) {
  const std::string gpus = kEvidence + "hopper_x8_590.12.json";
  const std::string switches = kEvidence + "switch_ls10_x4.json";
  Ask question{{gpus, switches}, {}, "2026-11-01T00:00:00Z"};
  const auto answer = ask(question);
  EXPECT_EQ(answer.verdict, Verdict::cannot_tell) << render_text(answer);
  EXPECT_EQ(answer.pieces.size(), 12U);
  EXPECT_TRUE(has_warning(answer, "gpu-not-bound"));
  for (const auto& piece : answer.pieces)
    for (const auto& reason : piece.reasons()) EXPECT_EQ(reason.rule, "rim");
  question.evidence = {gpus, gpus};
  EXPECT_TRUE(has_rule(ask(question), "unique-devices"));
  question.evidence = {gpus};
  question.policy.nvidia.gpus_min = 9;
  EXPECT_TRUE(has_rule(ask(question), "required"));
  question.policy = {};
  question.nonce = std::string(64, '1');
  EXPECT_TRUE(has_rule(ask(question), "nonce"));
  for (const auto* one : {"hopper_x1_590.12.json", "hopper_x1_cert_hold.json"})
    EXPECT_EQ(ask({{kEvidence + one}, {}, "2026-11-01T00:00:00Z"}).verdict, Verdict::cannot_tell);
}

TEST_F(NvidiaFixture, NoDamagedEvidenceIsAccepted) {
  const auto question = one_switch();
  const auto original = read_fixture(question.evidence[0]);
  const auto text = as_text(original);
  const auto begin = text.find("\"evidence\"");
  const auto end = text.find('"', text.find('"', begin + 10) + 1);
  std::vector<Input> collateral{{"rim", read_fixture(question.collateral[0])}};
  SignatureMemory memory;
  for (std::size_t i = begin; i < end; i += 5) {
    std::vector<Input> evidence{{"damaged", original}};
    evidence[0].bytes[i] ^= std::byte{1};
    EXPECT_NE(appraise({evidence, collateral, {}, parse_time(question.at).value(), {}, {}}, memory)
                  .verdict,
              Verdict::accept)
        << i;
  }
}

TEST_F(NvidiaFixture, NoDamagedRimIsAccepted) {
  const auto question = one_switch();
  const std::vector<Input> evidence{{"evidence", read_fixture(question.evidence[0])}};
  const auto original = read_fixture(question.collateral[0]);
  const auto end = as_text(original).find("<ds:KeyInfo>");
  SignatureMemory memory;
  for (std::size_t i = 0; i < end; i += 41) {
    std::vector<Input> collateral{{"damaged", original}};
    collateral[0].bytes[i] ^= std::byte{1};
    EXPECT_NE(appraise({evidence, collateral, {}, parse_time(question.at).value(), {}, {}}, memory)
                  .verdict,
              Verdict::accept)
        << i << as_text(original).substr(i, 20);
  }
}

}  // namespace
}  // namespace tacit::attest
