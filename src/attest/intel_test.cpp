// Real TDX and SGX quotes with real collateral, each at the clock its description gives.
#include <array>

#include "attest/attest_testing.hpp"
#include "attest/intel_quote.hpp"
#include "attest/intel_tcb.hpp"

namespace tacit::attest {
namespace {

using testing::Ask;
using testing::ask;
using testing::claim;
using testing::Fixture;
using testing::has_rule;
using testing::has_warning;
using testing::read_fixture;

const std::string kQuotes = "intel-tdx/quotes/";
const std::string kCollateral = "intel-tdx/collateral/";
const std::string kOf2023 = kCollateral + "pcs-2023-06-fmspc-50806f/";
const std::vector<std::string> kAllOf2023{
    kOf2023 + "pck_crl.der",      kOf2023 + "pck_crl_issuer_chain.pem",
    kOf2023 + "qe_identity.json", kOf2023 + "root_crl.der",
    kOf2023 + "tcb_info.json",    kOf2023 + "tcb_info_issuer_chain.pem"};

using IntelFixture = Fixture;

Ask up_to_date_2025() {
  return {{kQuotes + "tdx_v4_uptodate_2025.dat"},
          {kCollateral + "dcap-2025-06-fmspc-b0c06f.json"},
          "2025-06-25T00:00:00Z"};
}
Ask up_to_date_2026() {
  return {{kQuotes + "tdx_v5_uptodate_2026.dat"},
          {kCollateral + "dcap-2026-02-fmspc-90c06f.json"},
          "2026-03-01T00:00:00Z"};
}

TEST_F(IntelFixture, AcceptsUpToDateQuotes) {
  const auto v4 = ask(up_to_date_2025());
  EXPECT_EQ(v4.verdict, Verdict::accept) << render_text(v4);
  EXPECT_EQ(claim(v4, "tcb_status"), "UpToDate");
  EXPECT_EQ(claim(v4, "fmspc"), "b0c06f000000");
  EXPECT_TRUE(has_warning(v4, "code-not-pinned"));
  const auto v5 = ask(up_to_date_2026());
  EXPECT_EQ(v5.verdict, Verdict::accept) << render_text(v5);
  EXPECT_EQ(claim(v5, "tcb_evaluation_data_number"), "18");
  const auto azure = ask({{"tpm/azure_tdx_2025/td_quote.bin"},
                          {kCollateral + "dcap-2026-02-fmspc-90c06f.json"},
                          "2026-03-01T00:00:00Z"});
  EXPECT_EQ(azure.verdict, Verdict::accept) << render_text(azure);
}

TEST_F(IntelFixture, RefusesOutsideTheCollateralsWindow) {
  for (const auto* at : {"2025-06-19T10:32:26Z", "2025-07-19T10:00:36Z", "2024-01-01T00:00:00Z",
                         "2026-11-24T00:00:00Z", "2060-01-01T00:00:00Z"}) {
    auto question = up_to_date_2025();
    question.at = at;
    EXPECT_EQ(ask(question).verdict, Verdict::reject) << at;
  }
  for (const auto* at : {"2025-06-19T10:32:27Z", "2025-07-19T10:00:35Z"}) {
    auto question = up_to_date_2025();
    question.at = at;
    EXPECT_EQ(ask(question).verdict, Verdict::accept) << at;
  }
}

TEST_F(IntelFixture, RefusesACrlFromTheFuture) {
  // A quote and collateral of 2025 with revocation lists of 2026.
  const auto text = read_fixture(kCollateral + "dcap-2025-06-fmspc-b0c06f.json");
  const auto later = read_fixture(kCollateral + "dcap-2026-02-fmspc-90c06f.json");
  const auto member = [](const Bytes& json, std::string_view name) {
    const auto all = as_text(json);
    const auto begin = all.find("\"" + std::string{name} + "\"");
    const auto open = all.find('"', all.find(':', begin)) + 1;
    return std::string{all.substr(open, all.find('"', open) - open)};
  };
  std::string mixed{as_text(text)};
  for (const auto* name : {"pck_crl", "root_ca_crl"}) {
    const auto old = "\"" + member(text, name) + "\"";
    mixed.replace(mixed.find(old), old.size(), "\"" + member(later, name) + "\"");
  }
  const auto question = up_to_date_2025();
  const std::vector<Input> evidence{{"quote", read_fixture(question.evidence[0])}};
  const auto bytes = as_bytes(mixed);
  const std::vector<Input> collateral{{"mixed", {bytes.begin(), bytes.end()}}};
  const auto answer = appraise({evidence, collateral, {}, parse_time(question.at).value(), {}, {}});
  EXPECT_EQ(answer.verdict, Verdict::reject) << render_text(answer);
  EXPECT_TRUE(has_rule(answer, "revocation"));
}

TEST_F(IntelFixture, RefusesDebugTds) {
  Ask question{{kQuotes + "tdx_v4_debug_td_2023.dat"}, kAllOf2023, "2023-07-01T00:00:00Z"};
  const auto answer = ask(question);
  EXPECT_EQ(answer.verdict, Verdict::reject) << render_text(answer);
  EXPECT_TRUE(has_rule(answer, "debug"));
  EXPECT_EQ(claim(answer, "tcb_status"), "UpToDate");
  ASSERT_EQ(answer.pieces.size(), 1U);
  EXPECT_EQ(answer.pieces[0].reasons().size(), 1U) << render_text(answer);
  question.policy = Policy::built_in("development").value();
  EXPECT_EQ(ask(question).verdict, Verdict::accept) << render_text(ask(question));
}

TEST_F(IntelFixture, RefusesARootThatOnlyHasTheName) {
  for (const auto* at : {"2023-07-01T00:00:00Z", "2026-03-01T00:00:00Z"}) {
    const auto answer = ask({{kQuotes + "tdx_v4_untrusted_root_2022.dat"}, kAllOf2023, at});
    EXPECT_EQ(answer.verdict, Verdict::reject);
    EXPECT_TRUE(has_rule(answer, "pck-chain")) << render_text(answer);
  }
}

TEST_F(IntelFixture, BelowEveryLevelIsNeitherUpToDateNorOutOfDate) {
  const std::array<Ask, 2> questions{Ask{{kQuotes + "tdx_v5_tcb_unmatched_2026.dat"},
                                         {kCollateral + "dcap-2026-02-fmspc-90c06f.json"},
                                         "2026-03-01T00:00:00Z"},
                                     Ask{{kQuotes + "tdx_v4_dstack_tappd.hex"},
                                         {kCollateral + "dcap-2025-06-fmspc-b0c06f.json"},
                                         "2025-06-25T00:00:00Z"}};
  for (auto question : questions) {
    question.policy = Policy::built_in("development").value();
    const auto answer = ask(question);
    EXPECT_EQ(answer.verdict, Verdict::reject) << render_text(answer);
    EXPECT_TRUE(has_rule(answer, "tcb-status"));
    EXPECT_EQ(claim(answer, "tcb_status"), "");
  }
}

TEST_F(IntelFixture, RefusesJunkAfterAQuote) {
  const auto junk = ask({{kQuotes + "tdx_v4_spr_e4_2022.dat"}, kAllOf2023, "2023-07-01T00:00:00Z"});
  EXPECT_EQ(junk.verdict, Verdict::reject);
  EXPECT_TRUE(has_rule(junk, "format")) << render_text(junk);
  // Without the junk, the quote itself is below every TCB level.
  auto bytes = read_fixture(kQuotes + "tdx_v4_spr_e4_2022.dat");
  bytes.resize(4935);
  const auto bare =
      testing::ask_bytes({{}, kAllOf2023, "2023-07-01T00:00:00Z"}, {{"quote", bytes}});
  EXPECT_EQ(bare.verdict, Verdict::reject);
  EXPECT_TRUE(has_rule(bare, "tcb-status")) << render_text(bare);
}

TEST_F(IntelFixture, CannotTellWithoutCollateral) {
  auto question = up_to_date_2025();
  question.collateral.clear();
  EXPECT_EQ(ask(question).verdict, Verdict::cannot_tell);
  const auto other = ask({{kQuotes + "tdx_v4_cos113_8000.dat"},
                          {kCollateral + "dcap-2025-06-fmspc-b0c06f.json"},
                          "2025-06-25T00:00:00Z"});
  EXPECT_EQ(other.verdict, Verdict::cannot_tell) << render_text(other);
  const auto no_crl = ask({{kQuotes + "tdx_v4_uptodate_2025.dat"},
                           {kCollateral + "dcap-2025-03-fmspc-b0c06f-no-crl.json"},
                           "2025-03-20T00:00:00Z"});
  EXPECT_NE(no_crl.verdict, Verdict::accept);
  EXPECT_TRUE(has_rule(no_crl, "revocation")) << render_text(no_crl);
}

TEST_F(IntelFixture, OutOfDateIsRefusedAndNamed) {
  Ask question{{kQuotes + "tdx_v4_outofdate_2025.dat"},
               {kCollateral + "pcs-2025-10-fmspc-00a06d/tcb_info.json",
                kCollateral + "pcs-2025-10-fmspc-00a06d/qe_identity.json",
                kCollateral + "dcap-2026-02-fmspc-90c06f.json"},
               "2025-11-01T00:00:00Z"};
  const auto answer = ask(question);
  EXPECT_EQ(answer.verdict, Verdict::reject) << render_text(answer);
}

TEST_F(IntelFixture, NoClockAcceptsAKeyYoungerThanItsCollateral) {
  for (const auto* at : {"2026-03-01T00:00:00Z", "2026-03-20T10:00:00Z", "2026-04-15T00:00:00Z",
                         "2026-04-16T00:00:00Z", "2027-01-01T00:00:00Z"}) {
    const auto answer = ask({{kQuotes + "tdx_v4_dstack_tdx_lite_2026.json"},
                             {kCollateral + "dcap-2026-02-fmspc-90c06f.json"},
                             at});
    EXPECT_EQ(answer.verdict, Verdict::reject) << at << render_text(answer);
  }
}

TEST_F(IntelFixture, SgxQuotesNeedAPolicyThatTakesTheirStatus) {
  Ask question{{"intel-sgx/sgx_v3_quote_2023.dat"},
               {"intel-sgx/dcap-2025-06-sgx-fmspc-00a067.json"},
               "2025-06-25T00:00:00Z"};
  const auto answer = ask(question);
  EXPECT_EQ(answer.verdict, Verdict::reject) << render_text(answer);
  EXPECT_EQ(claim(answer, "tcb_status"), "ConfigurationAndSWHardeningNeeded");
  EXPECT_EQ(claim(answer, "advisories"), "INTEL-SA-00289, INTEL-SA-00615");
  question.policy.sgx.tcb_status.push_back("ConfigurationAndSWHardeningNeeded");
  EXPECT_EQ(ask(question).verdict, Verdict::accept);
  question.policy.sgx.advisories_allowed = {"INTEL-SA-00289"};
  EXPECT_TRUE(has_rule(ask(question), "advisories"));
}

TEST_F(IntelFixture, PolicyRules) {
  auto question = up_to_date_2026();
  const auto mr_td = claim(ask(question), "mr_td");
  question.policy.require_measurements = true;
  EXPECT_EQ(ask(question).verdict, Verdict::cannot_tell);
  question.policy.tdx.values = {{"mr_td", {*from_hex(mr_td)}}};
  EXPECT_EQ(ask(question).verdict, Verdict::accept);
  question.policy.tdx.values = {{"mr_td", {Bytes(48)}}};
  EXPECT_TRUE(has_rule(ask(question), "values"));
  question.policy.tdx.values = {{"no_such_register", {Bytes(48)}}};
  EXPECT_EQ(ask(question).verdict, Verdict::reject);
  question = up_to_date_2026();
  question.policy.tdx.tcb_evaluation_min = 19;
  EXPECT_TRUE(has_rule(ask(question), "tcb-evaluation-number"));
  question = up_to_date_2026();
  question.policy.collateral_age_max_s = 60;
  EXPECT_EQ(ask(question).verdict, Verdict::reject);
}

TEST_F(IntelFixture, NonceAndReportData) {
  auto question = up_to_date_2026();
  const auto data = claim(ask(question), "report_data");
  ASSERT_EQ(data.size(), 128U);
  question.report_data = data;
  EXPECT_EQ(ask(question).verdict, Verdict::accept);
  question.report_data[0] = question.report_data[0] == '0' ? '1' : '0';
  EXPECT_TRUE(has_rule(ask(question), "report-data"));
  question.report_data.clear();
  question.nonce = std::string(64, '5');
  EXPECT_TRUE(has_rule(ask(question), "nonce"));
  question.nonce.clear();
  question.policy.require_nonce = true;
  EXPECT_EQ(ask(question).verdict, Verdict::cannot_tell);
}

TEST_F(IntelFixture, NoDamagedQuoteIsAccepted) {
  for (const auto& question : {up_to_date_2025(), up_to_date_2026()}) {
    const auto original = read_fixture(question.evidence[0]);
    EXPECT_EQ(testing::accepted_when_damaged(question, original, 3), std::vector<std::size_t>{});
  }
}

TEST_F(IntelFixture, NoDamagedCollateralIsAccepted) {
  const auto question = up_to_date_2025();
  const std::vector<Input> evidence{{"quote", read_fixture(question.evidence[0])}};
  const auto original = read_fixture(question.collateral[0]);
  SignatureMemory memory;
  // The issuer chains are left alone: the quote brings its own, and a root that comes along is
  // not used at all.
  for (const std::string name : {"root_ca_crl", "pck_crl", "tcb_info", "tcb_info_signature",
                                 "qe_identity", "qe_identity_signature"}) {
    const auto text = as_text(original);
    const auto begin = text.find("\"" + name + "\":");
    ASSERT_NE(begin, std::string_view::npos);
    const auto end = std::min(text.find("\n", begin), text.size() - 2);
    for (std::size_t i = begin + 1; i < end; i += 3) {
      std::vector<Input> collateral{{"damaged", original}};
      collateral[0].bytes[i] ^= std::byte{1};
      const Question damaged{evidence, collateral, {}, parse_time(question.at).value(), {}, {}};
      if (text[i] == ' ' || text[i] == ',') continue;  // between members
      EXPECT_NE(appraise(damaged, memory).verdict, Verdict::accept) << name << " " << i - begin;
    }
  }
}

TEST_F(IntelFixture, NoPrefixOfAQuoteParses) {
  auto bytes = read_fixture(kQuotes + "tdx_v5_uptodate_2026.dat");
  const auto whole = parse_intel_quote(bytes);
  ASSERT_TRUE(whole);
  for (std::size_t n = 0; n < whole->size; ++n)
    EXPECT_FALSE(parse_intel_quote(BytesView{bytes}.first(n))) << n;
}

TEST(IntelTcb, StatusesCombineToTheWorse) {
  using enum TcbStatus;
  EXPECT_EQ(combine(up_to_date, up_to_date), up_to_date);
  EXPECT_EQ(combine(configuration_needed, out_of_date), out_of_date_configuration_needed);
  EXPECT_EQ(combine(sw_hardening_needed, out_of_date), out_of_date);
  EXPECT_EQ(combine(sw_hardening_needed, configuration_needed),
            configuration_and_sw_hardening_needed);
  for (unsigned a = 0; a < 7; ++a)
    for (unsigned b = 0; b < 7; ++b) {
      const auto one = static_cast<TcbStatus>(a);
      const auto two = static_cast<TcbStatus>(b);
      EXPECT_EQ(combine(one, two), combine(two, one));
      EXPECT_GE(combine(one, two), std::max(one, two));
      EXPECT_EQ(combine(one, one), one);
    }
}

TEST(Intel, NothingIsNotAccepted) {
  const std::vector<Input> none;
  EXPECT_EQ(appraise({none, none, {}, UnixTime{}, {}, {}}).verdict, Verdict::cannot_tell);
  const std::vector<Input> junk{{"junk", Bytes(5000, std::byte{7})}};
  EXPECT_EQ(appraise({junk, none, {}, UnixTime{}, {}, {}}).verdict, Verdict::reject);
}

}  // namespace
}  // namespace tacit::attest
