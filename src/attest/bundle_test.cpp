// Evidence bundles: their bytes, what the hardware signs, and what is refused by which rule.
#include "attest/bundle.hpp"

#include <algorithm>
#include <fstream>
#include <map>

#include "attest/attest_testing.hpp"
#include "attest/policy_file.hpp"
#include "crypto/hash.hpp"

namespace tacit::attest {
namespace {

using testing::Fixture;
using testing::has_rule;
using testing::read_fixture;

Bytes bytes_of(std::string_view text) {
  const auto view = as_bytes(text);
  return {view.begin(), view.end()};
}
Digest32 filled(unsigned char value) {
  Digest32 out;
  out.fill(std::byte{value});
  return out;
}

// The bundle of tests/vectors/evidence-bundle.txt.
Bundle sample() {
  return {.hardware = bytes_of("hardware"),
          .devices = {bytes_of("gpu 0"), bytes_of("gpu 1")},
          .collateral = {bytes_of("certificate")},
          .event_logs = {bytes_of("log")},
          .policy = "no content is kept\n",
          .models = {{"smollm2:135m", filled(0x33)}}};
}

std::map<std::string, std::string> read_vectors() {
  std::ifstream file{TACIT_BUNDLE_VECTORS};
  std::map<std::string, std::string> out;
  for (std::string line; std::getline(file, line);) {
    const auto equals = line.find(" = ");
    if (!line.starts_with('#') && equals != std::string::npos)
      out.emplace(line.substr(0, equals), line.substr(equals + 3));
  }
  return out;
}

TEST(Bundle, Vectors) {
  const auto vectors = read_vectors();
  const auto nonce = filled(0x11);
  const auto statement = filled(0x22);
  EXPECT_EQ(to_hex(encode_bundle(sample())), vectors.at("bundle"));
  EXPECT_EQ(to_hex(device_nonce(nonce, statement)), vectors.at("device_nonce"));
  EXPECT_EQ(to_hex(report_data(nonce, statement, sample())), vectors.at("report_data"));
  EXPECT_EQ(parse_bundle(from_hex(vectors.at("bundle")).value()).value(), sample());
}

TEST(Bundle, ReportDataBindsEverythingButCollateralAndLogs) {
  const auto base = report_data(filled(1), filled(2), sample());
  EXPECT_NE(report_data(filled(3), filled(2), sample()), base);
  EXPECT_NE(report_data(filled(1), filled(3), sample()), base);
  auto other = sample();
  other.devices.pop_back();
  EXPECT_NE(report_data(filled(1), filled(2), other), base);
  other = sample();
  other.devices = {bytes_of("gpu 0gpu 1")};
  EXPECT_NE(report_data(filled(1), filled(2), other), base);
  other = sample();
  other.policy += ' ';
  EXPECT_NE(report_data(filled(1), filled(2), other), base);
  other = sample();
  other.models[0].sha256[31] ^= std::byte{1};
  EXPECT_NE(report_data(filled(1), filled(2), other), base);
  other = sample();
  other.models[0].name = "another";
  EXPECT_NE(report_data(filled(1), filled(2), other), base);
  other = sample();
  other.collateral.clear();
  other.event_logs.clear();
  EXPECT_EQ(report_data(filled(1), filled(2), other), base);
}

TEST(Bundle, RefusesOtherForms) {
  const auto good = encode_bundle(sample());
  for (std::size_t size = 0; size < good.size(); ++size)
    EXPECT_FALSE(parse_bundle(BytesView{good}.first(size))) << size;
  auto longer = good;
  longer.push_back(std::byte{0});
  EXPECT_FALSE(parse_bundle(longer));
  auto version = good;
  version[0] = std::byte{2};
  EXPECT_EQ(parse_bundle(version).error().code(), Code::unsupported);
  // Two pieces of hardware evidence; items out of order; none.
  EXPECT_FALSE(parse_bundle(from_hex("01000201000000014101000000014"
                                     "1")
                                .value()));
  EXPECT_FALSE(parse_bundle(from_hex("0100020200000001410100000001"
                                     "41")
                                .value()));
  EXPECT_FALSE(parse_bundle(from_hex("010000").value()));
  EXPECT_FALSE(parse_bundle(from_hex("0100020100000001"
                                     "4107000000"
                                     "0141")
                                .value()));
}

// Recorded evidence was made for other nonces, so that "binding" is always among the reasons here;
// what is looked for is the rule beside it.
class RecordedBundle : public Fixture {
 protected:
  static Answer ask(const Bundle& bundle, std::string_view kind, const char* at,
                    const Policy& policy = {}) {
    const auto nonce = filled(1);
    const auto statement = filled(2);
    return appraise_bundle({bundle, kind, nonce, statement, policy, parse_time(at).value()});
  }
  static Policy policy_of(std::string_view text) { return parse_policy(text).value(); }
};

TEST_F(RecordedBundle, DebugAndBinding) {
  Bundle bundle{.hardware = read_fixture("intel-tdx/quotes/tdx_v4_uptodate_2025.dat"),
                .devices = {},
                .collateral = {read_fixture("intel-tdx/collateral/dcap-2025-06-fmspc-b0c06f.json")},
                .event_logs = {},
                .policy = {},
                .models = {}};
  const auto replayed = ask(bundle, "tdx", "2025-07-01T00:00:00Z");
  EXPECT_EQ(replayed.verdict, Verdict::reject);
  EXPECT_TRUE(has_rule(replayed, "binding"));
  EXPECT_FALSE(has_rule(replayed, "revocation"));
  EXPECT_FALSE(has_rule(replayed, "debug"));
  const auto expired = ask(bundle, "tdx", "2025-09-01T00:00:00Z");
  EXPECT_TRUE(has_rule(expired, "revocation") || has_rule(expired, "tcb-info"));
  EXPECT_TRUE(has_rule(ask(bundle, "sev-snp", "2025-07-01T00:00:00Z"), "hardware"));
  bundle.hardware = read_fixture("intel-tdx/quotes/tdx_v4_debug_td_2023.dat");
  EXPECT_TRUE(has_rule(ask(bundle, "tdx", "2023-07-01T00:00:00Z"), "debug"));
}

TEST_F(RecordedBundle, GenerationAndModels) {
  Bundle bundle{.hardware = read_fixture("amd-sev-snp/milan_v2_vcek/report.bin"),
                .devices = {},
                .collateral = {read_fixture("amd-sev-snp/milan_v2_vcek/vcek.der")},
                .event_logs = {},
                .policy = "kept: nothing",
                .models = {{"a", filled(5)}}};
  const auto* const at = "2025-06-01T00:00:00Z";
  EXPECT_FALSE(has_rule(ask(bundle, "sev-snp", at), "generation"));
  EXPECT_TRUE(has_rule(ask(bundle, "sev-snp", at, policy_of("[snp]\ngenerations = [\"Genoa\"]")),
                       "generation"));
  const auto model = [](const char* key, unsigned char value) {
    return "[endpoint]\n" + std::string{key} + " = [\"" + to_hex(filled(value)) + "\"]";
  };
  EXPECT_FALSE(
      has_rule(ask(bundle, "sev-snp", at, policy_of(model("models_required", 5))), "models"));
  EXPECT_TRUE(
      has_rule(ask(bundle, "sev-snp", at, policy_of(model("models_required", 6))), "models"));
  EXPECT_FALSE(
      has_rule(ask(bundle, "sev-snp", at, policy_of(model("models_allowed", 5))), "models"));
  EXPECT_TRUE(
      has_rule(ask(bundle, "sev-snp", at, policy_of(model("models_allowed", 6))), "models"));
  EXPECT_TRUE(
      has_rule(ask(bundle, "sev-snp", at, policy_of(model("policies", 5))), "operator-policy"));
}

TEST_F(RecordedBundle, DevicesMustBeDevicesAndUnique) {
  Bundle bundle{.hardware = read_fixture("amd-sev-snp/milan_v2_vcek/report.bin"),
                .devices = {read_fixture("amd-sev-snp/milan_v2_vcek/report.bin")},
                .collateral = {},
                .event_logs = {},
                .policy = {},
                .models = {}};
  const auto* const at = "2025-06-01T00:00:00Z";
  EXPECT_TRUE(has_rule(ask(bundle, "sev-snp", at), "device"));
  const auto gpu = read_fixture("nvidia/evidence/hopper_x1_590.12.json");
  bundle.devices = {gpu};
  const auto one = ask(bundle, "sev-snp", at, policy_of("[nvidia]\ngpus_min = 2"));
  EXPECT_FALSE(has_rule(one, "device"));
  EXPECT_FALSE(has_rule(one, "unique-devices"));
  EXPECT_TRUE(has_rule(one, "required"));
  bundle.devices = {gpu, gpu};
  const auto twice = ask(bundle, "sev-snp", at);
  EXPECT_TRUE(has_rule(twice, "unique-devices"));
  EXPECT_TRUE(has_rule(twice, "binding"));
}

TEST_F(RecordedBundle, PoliciesAboutEndpointsRefuseBareEvidence) {
  testing::Ask question{{"amd-sev-snp/milan_v2_vcek/report.bin"},
                        {"amd-sev-snp/milan_v2_vcek/vcek.der"},
                        "2025-06-01T00:00:00Z"};
  ASSERT_EQ(testing::ask(question).verdict, Verdict::accept);
  question.policy = policy_of("[endpoint]\nmodels_allowed = [\"" + to_hex(filled(1)) + "\"]");
  EXPECT_TRUE(has_rule(testing::ask(question), "endpoint"));
}

}  // namespace
}  // namespace tacit::attest
