// Attesters against what stands in for the hardware: a folder like configfs-tsm with recorded
// quotes, recorded answers of Nitro's module, a library with NVML's interface.
#include "attester/attester.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <unistd.h>

#include "attester/library.hpp"
#include "attester/maker.hpp"
#include "attester/nitro.hpp"
#include "attester/nvidia.hpp"
#include "attester/tsm.hpp"
#include "core/text.hpp"

namespace tacit::attester {
namespace {

Digest32 filled(unsigned char value) {
  Digest32 out;
  out.fill(std::byte{value});
  return out;
}

std::filesystem::path fixtures() {
  const char* given = std::getenv("TACIT_FIXTURES");
  return given != nullptr ? given : TACIT_FIXTURES_DEFAULT;
}
std::string read_file(const std::filesystem::path& path) {
  std::ifstream in{path, std::ios::binary};
  return {std::istreambuf_iterator<char>{in}, {}};
}
// A folder that answers as configfs-tsm does, but for the report, which is always the same.
class FakeTsm : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = std::filesystem::temp_directory_path() /
            ("tacit_tsm_" + std::to_string(::getpid()) +
             ::testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directories(root_ / "tacit");
    put("inblob", "");
    put("generation", "1\n");
  }
  void TearDown() override { std::filesystem::remove_all(root_); }
  void put(const std::string& name, std::string_view content) const {
    std::ofstream{root_ / "tacit" / name, std::ios::binary} << content;
  }
  TsmOptions options() const { return {root_, "tacit", root_ / "no-log"}; }
  static void need_fixtures() {
    if (!std::filesystem::exists(fixtures() / "intel-tdx"))
      GTEST_SKIP() << "SKIPPED: fixtures not found; set TACIT_FIXTURES";
  }
  std::filesystem::path root_;
};

TEST_F(FakeTsm, AsksWithTheDataAndReturnsTheReport) {
  put("provider", "tdx_guest\n");
  put("outblob", "a quote");
  auto opened = open_tsm(options());
  ASSERT_TRUE(opened) << opened.error().explain();
  EXPECT_EQ((*opened)->kind(), seal::Attester::tdx);
  const auto attested = (*opened)->attest(filled(7));
  ASSERT_TRUE(attested) << attested.error().explain();
  EXPECT_EQ(as_text(attested->evidence), "a quote");
  EXPECT_TRUE(attested->collateral.empty());
  EXPECT_EQ(read_file(root_ / "tacit" / "inblob"), std::string(32, '\x07') + std::string(32, '\0'));
}

TEST_F(FakeTsm, CarriesTheEventLogAndSnpCertificates) {
  put("provider", "tdx_guest\n");
  put("outblob", "a quote");
  auto with_log = options();
  with_log.event_log = root_ / "log";
  std::ofstream{with_log.event_log} << "measured";
  const auto tdx = (*open_tsm(with_log))->attest(filled(1)).value();
  ASSERT_EQ(tdx.event_logs.size(), 1U);
  EXPECT_EQ(as_text(tdx.event_logs[0]), "measured");

  put("provider", "sev_guest\n");
  ByteWriter table;
  table.raw(filled(9));  // GUID, then offset and size in its second half
  auto bytes = std::move(table).take();
  bytes.resize(48 + 4, std::byte{0});
  const auto put_u32 = [&](std::size_t at, std::uint32_t value) {
    for (std::size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<std::byte>(value >> (8 * i));
  };
  put_u32(16, 48);
  put_u32(20, 4);
  std::fill(bytes.begin() + 24, bytes.begin() + 48, std::byte{0});
  std::ranges::copy(as_bytes("vcek"), bytes.begin() + 48);
  put("auxblob", as_text(bytes));
  const auto snp = (*open_tsm(options()))->attest(filled(1)).value();
  ASSERT_EQ(snp.collateral.size(), 1U);
  EXPECT_EQ(as_text(snp.collateral[0]), "vcek");
}

TEST_F(FakeTsm, RefusesWhatIsMissingOrUnknown) {
  EXPECT_EQ(open_tsm({root_ / "absent", "tacit", {}}).error().code(), Code::not_found);
  put("provider", "cove_guest\n");
  EXPECT_EQ(open_tsm(options()).error().code(), Code::unsupported);
  put("provider", "tdx_guest\n");
  put("outblob", "");
  EXPECT_EQ((*open_tsm(options()))->attest(filled(1)).error().code(), Code::unavailable);
  FindOptions snp{.choice = Choice::snp, .tsm = options(), .tpm = {}};
  EXPECT_EQ(find_attester(snp).error().code(), Code::not_found);
}

TEST_F(FakeTsm, RecordedQuotesMakeBundlesThatAreJudged) {
  need_fixtures();
  if (IsSkipped()) return;
  put("provider", "tdx_guest\n");
  put("outblob", read_file(fixtures() / "intel-tdx/quotes/tdx_v4_uptodate_2025.dat"));
  const auto collateral = root_ / "collateral";
  std::filesystem::create_directories(collateral);
  std::filesystem::copy(fixtures() / "intel-tdx/collateral/dcap-2025-06-fmspc-b0c06f.json",
                        collateral);
  const BundleMaker maker{*open_tsm(options()), nullptr, {collateral, "kept: nothing", {}}};
  const auto nonce = filled(1);
  const auto statement = filled(2);
  const auto bytes = maker.make(nonce, statement);
  ASSERT_TRUE(bytes) << bytes.error().explain();
  const auto bundle = attest::parse_bundle(*bytes).value();
  EXPECT_EQ(bundle.policy, "kept: nothing");
  EXPECT_EQ(read_file(root_ / "tacit" / "inblob").substr(0, 32),
            as_text(attest::report_data(nonce, statement, bundle)));
  const attest::Policy policy;
  const auto answer = attest::appraise_bundle({bundle, "tdx", nonce, statement, policy,
                                               attest::parse_time("2025-07-01T00:00:00Z").value()});
  // All is well with it, but that it was made for somebody else.
  EXPECT_EQ(answer.verdict, attest::Verdict::reject);
  for (const auto& piece : answer.pieces)
    for (const auto& reason : piece.reasons())
      EXPECT_TRUE(reason.rule == "binding" || reason.rule == "nonce" ||
                  reason.rule == "report-data")
          << reason.rule;
}

TEST(SnpCertificates, RefusesTablesThatPointElsewhere) {
  EXPECT_TRUE(parse_snp_certificates({}).value().empty());
  Bytes table(48, std::byte{0});
  EXPECT_TRUE(parse_snp_certificates(table).value().empty());
  table[0] = std::byte{1};
  table[16] = std::byte{49};  // offset
  EXPECT_FALSE(parse_snp_certificates(table));
  table[16] = std::byte{48};
  table[20] = std::byte{1};  // one byte, of which there is none
  EXPECT_FALSE(parse_snp_certificates(table));
  EXPECT_FALSE(parse_snp_certificates(BytesView{table}.first(20)));
}

TEST(Nitro, AsksWithTheNonceAndReturnsTheDocument) {
  Bytes asked;
  const Bytes document(300, std::byte{0x5a});
  auto nitro = make_nitro([&](BytesView request) -> Result<Bytes> {
    asked.assign(request.begin(), request.end());
    ByteWriter out;
    out.raw(from_hex("a1"
                     "6b"
                     "4174746573746174696f6e"
                     "a1"
                     "68"
                     "646f63756d656e74"
                     "59"
                     "012c")
                .value());
    out.raw(document);
    return std::move(out).take();
  });
  const auto attested = nitro->attest(filled(3));
  ASSERT_TRUE(attested) << attested.error().explain();
  EXPECT_EQ(attested->evidence, document);
  EXPECT_EQ(to_hex(asked), "a16b4174746573746174696f6ea369757365725f64617461f6656e6f6e63655820" +
                               std::string(to_hex(filled(3))) + "6a7075626c69635f6b6579f6");
}

TEST(Nitro, RefusesOtherAnswers) {
  const auto good = from_hex(
                        "a16b4174746573746174696f6ea168646f63756d656e745900"
                        "0141")
                        .value();
  EXPECT_TRUE(parse_nsm_answer(good));
  for (std::size_t size = 1; size < good.size(); ++size)
    EXPECT_FALSE(parse_nsm_answer(BytesView{good}.first(size))) << size;
  EXPECT_FALSE(parse_nsm_answer({}));
  EXPECT_EQ(parse_nsm_answer(from_hex("a1654572726f726d496e76616c69644f7065726174696f6e").value())
                .error()
                .code(),
            Code::unavailable);
  EXPECT_EQ(open_nitro("/nonexistent/nsm").error().code(), Code::not_found);
}

TEST(Nvidia, AsksEachGpuWithTheNonce) {
  auto gpus = open_nvidia(TACIT_FAKE_NVML);
  ASSERT_TRUE(gpus) << gpus.error().explain();
  const auto all = (*gpus)->attest(filled(4));
  ASSERT_TRUE(all) << all.error().explain();
  ASSERT_EQ(all->size(), 2U);
  const auto report = "report" + std::string{as_text(filled(4))};
  for (const auto& [i, text] : {std::pair{0U, "gpu 0"}, {1U, "gpu 1"}})
    EXPECT_EQ(as_text((*all)[i]), R"({"arch":"HOPPER","certificate":")" +
                                      to_base64(as_bytes(text)) + R"(","evidence":")" +
                                      to_base64(as_bytes(report)) + R"(","nonce":")" +
                                      to_hex(filled(4)) + R"("})");
  EXPECT_EQ(open_nvidia("libno-such-nvml.so").error().code(), Code::not_found);
}

// Real evidence through the attesters, as the client would judge it: refused for the nonce that it
// was made for, and for nothing that the attester could have damaged.
class Recorded : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(fixtures() / "nvidia"))
      GTEST_SKIP() << "SKIPPED: fixtures not found; set TACIT_FIXTURES";
  }
  static attest::Answer judge(const Bytes& evidence, const char* at) {
    const std::vector<attest::Input> inputs{{"evidence", evidence}};
    return attest::appraise({inputs, {}, attest::Policy{}, attest::parse_time(at).value(), {}, {}});
  }
};

TEST_F(Recorded, NitroDocument) {
  const auto text = read_file(fixtures() / "aws-nitro/nsm_attestation.bin");
  auto nitro = make_nitro([&](BytesView) -> Result<Bytes> {
    ByteWriter out;
    out.raw(from_hex("a16b4174746573746174696f6ea168646f63756d656e7459").value());
    out.u16_be(static_cast<std::uint16_t>(text.size()));
    out.raw(text);
    return std::move(out).take();
  });
  const auto attested = nitro->attest(filled(1)).value();
  const auto answer = judge(attested.evidence, "2026-01-01T00:00:00Z");
  ASSERT_EQ(answer.pieces.size(), 1U);
  EXPECT_EQ(answer.pieces[0].kind(), "nitro");
}

TEST_F(Recorded, GpuReport) {
  const auto folder =
      std::filesystem::temp_directory_path() / ("tacit_gpu_" + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  auto hex = read_file(fixtures() / "nvidia/evidence/hopper_570.124.03_report.hex");
  std::erase_if(hex, [](char c) { return c == '\n' || c == '\r' || c == ' '; });
  const auto bytes = from_hex(hex).value();
  std::ofstream{folder / "report", std::ios::binary} << as_text(bytes);
  std::ofstream{folder / "chain", std::ios::binary}
      << read_file(fixtures() / "nvidia/evidence/hopper_570.124.03_chain.pem");
  const auto library = Library::open(TACIT_FAKE_NVML).value();
  void (*replay)(const char*, const char*) = nullptr;
  ASSERT_TRUE(library.find("fake_nvml_replay", replay));
  replay((folder / "report").c_str(), (folder / "chain").c_str());
  auto gpus = open_nvidia(TACIT_FAKE_NVML);
  ASSERT_TRUE(gpus) << gpus.error().explain();
  const auto all = (*gpus)->attest(filled(4));
  replay("", "");
  std::filesystem::remove_all(folder);
  ASSERT_TRUE(all) << all.error().explain();
  ASSERT_EQ(all->size(), 1U);
  const auto answer = judge((*all)[0], "2025-06-01T00:00:00Z");
  ASSERT_EQ(answer.pieces.size(), 1U);
  EXPECT_EQ(answer.pieces[0].kind(), "nvidia-gpu");
  for (const auto& reason : answer.pieces[0].reasons()) {
    EXPECT_NE(reason.rule, "format") << reason.actual;
    EXPECT_NE(reason.rule, "report-signature") << reason.actual;
    EXPECT_NE(reason.rule, "device-chain") << reason.actual;
  }
}

}  // namespace
}  // namespace tacit::attester
