// Event logs, made by hand here and real ones of firmware.
#include "attest/event_log.hpp"

#include "attest/attest_testing.hpp"
#include "attest/intel_quote.hpp"

namespace tacit::attest {
namespace {

using testing::read_fixture;
using LogFixture = testing::Fixture;

struct Made {
  std::uint32_t index;
  std::uint32_t type;
  std::string data;
};

// A crypto-agile log with the banks SHA-1 and SHA-384, whose digests are of the data.
Bytes agile_log(const std::vector<Made>& events, std::string_view tail = {}) {
  ByteWriter spec;
  spec.raw(std::string_view{"Spec ID Event03\0", 16});
  spec.u64(0);
  spec.u32(2);
  spec.u16(kLogSha1);
  spec.u16(20);
  spec.u16(kLogSha384);
  spec.u16(48);
  spec.u8(0);
  ByteWriter out;
  out.u32(0);
  out.u32(3);
  out.raw(Bytes(20));
  out.sized(spec.bytes());
  for (const auto& event : events) {
    out.u32(event.index);
    out.u32(event.type);
    out.u32(2);
    out.u16(kLogSha1);
    out.raw(crypto::sha1({as_bytes(event.data)}));
    out.u16(kLogSha384);
    out.raw(crypto::sha384(as_bytes(event.data)));
    out.sized(event.data);
  }
  out.raw(tail);
  return std::move(out).take();
}

Bytes extended(Bytes value, std::string_view data) {
  const auto digest = crypto::sha384(as_bytes(data));
  value.insert(value.end(), digest.begin(), digest.end());
  const auto out = crypto::sha384(value);
  return {out.begin(), out.end()};
}

TEST(EventLog, ReplaysWhatWasExtended) {
  const auto log = parse_event_log(
      agile_log({{4, 0x0d, "kernel"}, {4, 3, "not extended"}, {7, 4, "end"}, {4, 0x0d, "initrd"}}));
  ASSERT_TRUE(log) << log.error().message();
  EXPECT_EQ((*log)->events.size(), 4U);
  const auto all = replay(**log, kLogSha384);
  ASSERT_TRUE(all);
  ASSERT_EQ(all->size(), 2U);
  const auto& pcr4 = all->at(4);
  EXPECT_EQ(pcr4.value, extended(extended(Bytes(48), "kernel"), "initrd"));
  EXPECT_EQ(pcr4.num_described, 2U);
  EXPECT_EQ(pcr4.num_events.at(0x0d), 2U);
  EXPECT_EQ(all->at(7).value, extended(Bytes(48), "end"));
  EXPECT_FALSE(replay(**log, kLogSha256));
}

TEST(EventLog, TheFirstRegisterBeginsWithTheLocality) {
  const std::string locality{"StartupLocality\0\3", 17};
  const auto log = parse_event_log(agile_log({{0, 3, locality}, {0, 8, "version"}}));
  ASSERT_TRUE(log);
  Bytes start(48);
  start.back() = std::byte{3};
  EXPECT_EQ(replay(**log, kLogSha384)->at(0).value, extended(start, "version"));
}

TEST(EventLog, EndsWithFillerOnly) {
  const std::string ones(70, '\xff');
  const std::string zeros(70, '\0');
  EXPECT_EQ((*parse_event_log(agile_log({{1, 4, "x"}}, ones)))->events.size(), 1U);
  EXPECT_EQ((*parse_event_log(agile_log({{1, 4, "x"}}, zeros)))->events.size(), 1U);
  EXPECT_FALSE(parse_event_log(agile_log({{1, 4, "x"}}, zeros + "x")));
  auto cut = agile_log({{1, 4, "xyz"}});
  cut.pop_back();
  EXPECT_FALSE(parse_event_log(cut));
}

TEST(EventLog, EveryBankMustBeInEveryEvent) {
  auto bytes = agile_log({{1, 4, "x"}});
  const std::size_t count_at = 32 + 37 + 8;
  ASSERT_EQ(bytes[count_at], std::byte{2});
  bytes[count_at] = std::byte{1};
  EXPECT_FALSE(parse_event_log(bytes));
}

TEST(EventLog, ALengthFieldAllocatesNothing) {
  auto bytes = agile_log({{1, 4, "x"}});
  for (std::size_t i = bytes.size() - 5; i < bytes.size() - 1; ++i) bytes[i] = std::byte{0xfe};
  EXPECT_FALSE(parse_event_log(bytes));
}

TEST(EventLog, OldLogsHaveOneBank) {
  ByteWriter spec;
  spec.raw(std::string_view{"Spec ID Event02\0", 16});
  spec.raw(Bytes(9));
  ByteWriter out;
  out.u32(0);
  out.u32(3);
  out.raw(Bytes(20));
  out.sized(spec.bytes());
  out.u32(7);
  out.u32(4);
  out.raw(crypto::sha1({as_bytes("end")}));
  out.sized("end");
  const auto log = parse_event_log(out.bytes());
  ASSERT_TRUE(log) << log.error().message();
  EXPECT_TRUE((*log)->sha1_only());
  EXPECT_EQ(replay(**log, kLogSha1)->at(7).num_described, 1U);
}

TEST(EventLog, JsonEventsAtRunTimeAreHashedHere) {
  const std::string text =
      R"([{"imr":3,"event_type":134217729,"digest":"00","event":"app-id","event_payload":"0102"}])";
  const auto log = parse_event_log_json(text);
  ASSERT_TRUE(log) << log.error().message();
  const std::string message{"\x01\x00\x00\x08:app-id:\x01\x02", 14};
  EXPECT_EQ(replay(**log, kLogSha384)->at(3).value, extended(Bytes(48), message));
  EXPECT_FALSE(parse_event_log_json("[]"));
  EXPECT_FALSE(parse_event_log_json(R"([{"imr":4,"event_type":4,"digest":"","event":""}])"));
}

TEST_F(LogFixture, RealLogsParseToTheirLastByte) {
  struct Log {
    const char* name;
    std::size_t events;
  };
  for (const auto& [name, events] :
       {Log{"intel-tdx/eventlogs/CCEL_data_grub.bin", 37},
        Log{"intel-tdx/eventlogs/cos-113-ccel.bin", 43},
        Log{"intel-tdx/eventlogs/dstack-ccel.bin", 18}, Log{"tpm/eventlogs/azure_2025.bin", 100},
        Log{"tpm/eventlogs/gdc-host.bin", 158}, Log{"tpm/eventlogs/rhel8-uefi.bin", 82},
        Log{"tpm/eventlogs/arch-linux-workstation.bin", 24},
        Log{"tpm/eventlogs/cos-101-amd-sev.bin", 48},
        Log{"tpm/eventlogs/ubuntu-2104-no-dbx.bin", 111}}) {
    const auto log = parse_event_log(read_fixture(name));
    ASSERT_TRUE(log) << name << log.error().message();
    EXPECT_EQ((*log)->events.size(), events) << name;
  }
}

TEST_F(LogFixture, ARealLogReplaysToItsQuote) {
  const auto bytes = read_fixture("intel-tdx/quotes/tdx_v4_cos113_8000.dat");
  const auto quote = parse_intel_quote(bytes).value();
  const auto log = parse_event_log(read_fixture("intel-tdx/eventlogs/cos-113-ccel.bin")).value();
  const auto all = replay(*log, kLogSha384).value();
  for (std::uint32_t i = 0; i < 3; ++i)
    EXPECT_TRUE(std::ranges::equal(all.at(i + 1).value, quote.td.rtmr[i])) << i;
}

}  // namespace
}  // namespace tacit::attest
