// The client against servers whose evidence is wrong in one way: each is refused by its rule, at a
// clock of the test, and no byte of a request leaves. The evidence is real and recorded; because it
// was made for other nonces, rule "binding" refuses all of it, too.
#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "async/async_testing.hpp"
#include "attest/policy_file.hpp"
#include "connect/client.hpp"
#include "core/text.hpp"
#include "http/server.hpp"
#include "seal/key_ring.hpp"

namespace tacit::connect {
namespace {

constexpr std::string_view kSecret = "the question that must not leave";

std::filesystem::path fixtures() {
  const char* given = std::getenv("TACIT_FIXTURES");
  return given != nullptr ? given : TACIT_FIXTURES_DEFAULT;
}
Bytes read_fixture(const std::string& name) {
  std::ifstream in{fixtures() / name, std::ios::binary};
  EXPECT_TRUE(in.good()) << name;
  const std::string text{std::istreambuf_iterator<char>{in}, {}};
  const auto bytes = as_bytes(text);
  return {bytes.begin(), bytes.end()};
}

// Shows the evidence it was given and counts what else it is asked.
class Shower final : public http::Handler {
 public:
  Shower(const Clock& clock, seal::Attester attester, Bytes bundle)
      : clock_{clock}, attester_{attester}, bundle_{std::move(bundle)} {}
  Task<> serve(http::Exchange& exchange) override {
    const auto& request = exchange.request();
    if (request.path() != seal::kEvidencePath) {
      ++others;
      (void)co_await exchange.respond({404, {}}, {});
      co_return;
    }
    seal::EvidenceNonce nonce{};
    const auto bytes = from_hex(request.query().substr(6)).value();
    std::ranges::copy(bytes, nonce.begin());
    http::ResponseHead head{200, {}};
    head.headers.add("content-type", std::string{seal::kEvidenceMediaType});
    const auto document = make_document(nonce);
    (void)co_await exchange.respond(std::move(head), document);
  }
  int others = 0;

 private:
  Bytes make_document(const seal::EvidenceNonce& nonce) {
    const auto now = std::chrono::floor<Milliseconds>(clock_.wall());
    const auto draft = keys_.draft();
    const seal::Statement statement{.attester = attester_,
                                    .issued_at = now,
                                    .not_before = now,
                                    .not_after = now + Seconds{600},
                                    .identity = identity_.public_key(),
                                    .sealed = draft.config,
                                    .ohttp = {},
                                    .software = "test"};
    auto document = identity_.sign(seal::encode_statement(statement), nonce, now);
    if (attester_ != seal::Attester::none) seal::append_bundle(document, bundle_);
    return document;
  }
  const Clock& clock_;
  const seal::Attester attester_;
  const Bytes bundle_;
  const seal::Identity identity_ = seal::Identity::generate();
  seal::KeyRing keys_;
};

struct Case {
  const char* at = "2025-07-01T00:00:00Z";
  seal::Attester attester = seal::Attester::tdx;
  Bytes bundle;
  const char* policy = "";
};

// Asks the client to send a request; returns the refusal's text. Fails when anything left.
std::string refusal(const Case& one) {
  ManualClock clock;
  clock.set_wall(attest::parse_time(one.at).value());
  NullLogger log;
  async::Shard shard{0};
  Shower shower{clock, one.attester, one.bundle};
  http::Server server{
      shard,
      shower,
      log,
      std::make_shared<http::Server::Shared>(),
      {.listen = {.host = "127.0.0.1", .port = 0, .unix_path = {}}, .tls = nullptr, .limits = {}}};
  EXPECT_TRUE(server.listen(true));
  const auto file = std::filesystem::temp_directory_path() /
                    ("tacit-evidence-known-" + std::to_string(::getpid()));
  KnownServers known{file};
  ClientOptions options;
  options.url = "http://127.0.0.1:" + std::to_string(server.port());
  options.known = &known;
  options.evidence = EvidenceRules{
      .policy = attest::parse_policy(one.policy).value(), .required = true, .collateral = {}};
  Client client{std::move(options), clock, log, shard.io.get_executor()};
  async::TaskGroup tasks{shard.io.get_executor()};
  tasks.spawn(server.run());
  const http::RequestHead head{"POST", "/v1/chat/completions", {}};
  const auto deadline = Deadline::after(Seconds{60});
  const auto sent =
      async::run_task(shard.io, client.send(head, as_bytes(kSecret), "tk-key", deadline));
  EXPECT_FALSE(sent);
  EXPECT_EQ(shower.others, 0) << "something left";
  EXPECT_EQ(known.find("http://127.0.0.1:" + std::to_string(server.port())).value(), std::nullopt)
      << "a server that was refused was pinned";
  (void)async::run_task(shard.io, server.drain(deadline));
  async::run_task(shard.io, tasks.join(deadline));
  std::filesystem::remove(file);
  if (sent) return "sent";
  EXPECT_EQ(sent.error().code(), Code::forbidden) << sent.error().explain();
  return sent.error().explain();
}

#define EXPECT_RULE(text, rule) \
  EXPECT_NE((text).find("rule \"" rule "\""), std::string::npos) << (text)
#define EXPECT_NO_RULE(text, rule) \
  EXPECT_EQ((text).find("rule \"" rule "\""), std::string::npos) << (text)

class ClientEvidence : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(fixtures() / "intel-tdx"))
      GTEST_SKIP() << "SKIPPED: fixtures not found; set TACIT_FIXTURES";
  }
  static attest::Bundle tdx(const char* quote = "tdx_v4_uptodate_2025.dat") {
    return {.hardware = read_fixture("intel-tdx/quotes/" + std::string{quote}),
            .devices = {},
            .collateral = {read_fixture("intel-tdx/collateral/dcap-2025-06-fmspc-b0c06f.json")},
            .event_logs = {},
            .policy = {},
            .models = {}};
  }
  static attest::Bundle milan() {
    return {.hardware = read_fixture("amd-sev-snp/milan_v2_vcek/report.bin"),
            .devices = {},
            .collateral = {read_fixture("amd-sev-snp/milan_v2_vcek/vcek.der")},
            .event_logs = {},
            .policy = {},
            .models = {}};
  }
};

TEST(ClientWithoutHardware, RefusesAServerThatNobodyVouchesFor) {
  const auto text = refusal({.attester = seal::Attester::none, .bundle = {}});
  EXPECT_RULE(text, "hardware");
}

TEST(ClientWithoutHardware, RefusesABundleThatItCannotRead) {
  EXPECT_RULE(refusal({.bundle = Bytes(40, std::byte{7})}), "format");
}

TEST_F(ClientEvidence, ReplayedEvidence) {
  const auto text = refusal({.bundle = attest::encode_bundle(tdx())});
  EXPECT_RULE(text, "binding");
  EXPECT_NO_RULE(text, "debug");
  EXPECT_NO_RULE(text, "tcb-status");
}

TEST_F(ClientEvidence, DebugFlag) {
  EXPECT_RULE(refusal({.at = "2023-07-01T00:00:00Z",
                       .bundle = attest::encode_bundle(tdx("tdx_v4_debug_td_2023.dat"))}),
              "debug");
}

TEST_F(ClientEvidence, ExpiredCollateral) {
  const auto text = refusal({.at = "2025-09-01T00:00:00Z", .bundle = attest::encode_bundle(tdx())});
  EXPECT_TRUE(text.contains("rule \"revocation\"") || text.contains("rule \"tcb-info\"")) << text;
}

TEST_F(ClientEvidence, WrongMeasurement) {
  EXPECT_RULE(
      refusal({.bundle = attest::encode_bundle(tdx()), .policy = "[tdx.values]\nmr_td = [\"00\"]"}),
      "values");
}

TEST_F(ClientEvidence, DeniedGeneration) {
  EXPECT_RULE(refusal({.at = "2025-06-01T00:00:00Z",
                       .attester = seal::Attester::snp,
                       .bundle = attest::encode_bundle(milan()),
                       .policy = "[snp]\ngenerations = [\"Genoa\", \"Turin\"]"}),
              "generation");
}

TEST_F(ClientEvidence, AnotherKindThanTheStatementSays) {
  EXPECT_RULE(refusal({.attester = seal::Attester::tpm, .bundle = attest::encode_bundle(tdx())}),
              "hardware");
}

TEST_F(ClientEvidence, MissingGpu) {
  auto bundle = milan();
  bundle.devices = {read_fixture("nvidia/evidence/hopper_x1_590.12.json")};
  const auto text = refusal({.at = "2025-06-01T00:00:00Z",
                             .attester = seal::Attester::snp,
                             .bundle = attest::encode_bundle(bundle),
                             .policy = "[nvidia]\ngpus_min = 8"});
  EXPECT_RULE(text, "required");
  EXPECT_TRUE(text.contains("8 of kind nvidia-gpu")) << text;
}

TEST_F(ClientEvidence, DuplicatedSwitch) {
  auto bundle = milan();
  const auto one = read_fixture("nvidia/evidence/switch_ls10_x1.json");
  bundle.devices = {one, one};
  EXPECT_RULE(refusal({.at = "2025-06-01T00:00:00Z",
                       .attester = seal::Attester::snp,
                       .bundle = attest::encode_bundle(bundle)}),
              "unique-devices");
}

TEST_F(ClientEvidence, WrongModelDigest) {
  auto bundle = tdx();
  bundle.models = {{"a-model", {}}};
  EXPECT_RULE(refusal({.bundle = attest::encode_bundle(bundle),
                       .policy = "[endpoint]\nmodels_allowed = [\"11111111111111111111111111111111"
                                 "11111111111111111111111111111111\"]"}),
              "models");
}

}  // namespace
}  // namespace tacit::connect
