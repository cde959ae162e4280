// Real AWS Nitro documents.
#include "attest/nitro.hpp"

#include "attest/attest_testing.hpp"

namespace tacit::attest {
namespace {

using testing::Ask;
using testing::ask;
using testing::claim;
using testing::has_rule;
using testing::read_fixture;

using NitroFixture = testing::Fixture;

Ask document() { return {{"aws-nitro/nsm_attestation.bin"}, {}, "2025-12-25T13:15:37Z"}; }

TEST_F(NitroFixture, AcceptsWhileTheCertificateLives) {
  const auto answer = ask(document());
  EXPECT_EQ(answer.verdict, Verdict::accept) << render_text(answer);
  EXPECT_FALSE(claim(answer, "pcr0").empty());
  for (const auto* at : {"2025-12-25T13:15:30Z", "2025-12-25T16:15:38Z", "2026-11-24T00:00:00Z"}) {
    auto question = document();
    question.at = at;
    EXPECT_EQ(ask(question).verdict, Verdict::reject) << at;
  }
}

TEST_F(NitroFixture, RefusesDebugMode) {
  Ask question{{"aws-nitro/nsm_attestation_debug.bin"}, {}, "2025-12-25T08:20:46Z"};
  const auto answer = ask(question);
  EXPECT_EQ(answer.verdict, Verdict::reject);
  EXPECT_EQ(answer.pieces[0].reasons().size(), 1U) << render_text(answer);
  EXPECT_TRUE(has_rule(answer, "debug"));
}

TEST_F(NitroFixture, NonceAndPcrs) {
  auto question = document();
  question.nonce = "00";
  EXPECT_TRUE(has_rule(ask(question), "nonce"));
  question.nonce.clear();
  question.policy.nitro.values = {{"pcr0", {Bytes(48)}}};
  EXPECT_TRUE(has_rule(ask(question), "values"));
}

TEST_F(NitroFixture, NoDamagedDocumentIsAccepted) {
  const auto file = read_fixture("aws-nitro/nsm_attestation.bin");
  const Bytes bare{file.begin() + 4, file.begin() + 4 + 4527};
  EXPECT_EQ(testing::ask_bytes(document(), {{"bare", bare}}).verdict, Verdict::accept);
  EXPECT_EQ(testing::accepted_when_damaged(document(), bare, 2), std::vector<std::size_t>{});
  auto longer = bare;
  longer.push_back(std::byte{0});
  EXPECT_EQ(testing::ask_bytes(document(), {{"longer", longer}}).verdict, Verdict::reject);
  for (auto cut = bare; cut.size() > 7;) {
    cut.resize(cut.size() - 7);
    EXPECT_NE(testing::ask_bytes(document(), {{"cut", cut}}).verdict, Verdict::accept);
  }
}

}  // namespace
}  // namespace tacit::attest
