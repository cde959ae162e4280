// Event logs from strangers, binary and JSON, and the attestations of Google's tools that carry
// them: what parses has its views inside the bytes it owns, replays to registers of the bank's
// size, and every event that was extended is counted in one of them.
#include <algorithm>

#include "attest/event_log.hpp"
#include "attest/google_attestation.hpp"
#include "fuzz.hpp"

namespace {

using namespace tacit::attest;  // a program of one file
using tacit::BytesView;

bool inside(BytesView part, const tacit::Bytes& whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

void check(const EventLog& log) {
  std::size_t num_extended = 0;
  FUZZ_CHECK(log.events.size() <= kEventsMax && log.banks.size() <= kLogBanksMax);
  for (const auto& event : log.events) {
    FUZZ_CHECK(inside(event.data, log.bytes) && inside(event.digests, log.bytes));
    FUZZ_CHECK(!event_type_name(event.type).empty());
    num_extended += event.is_extended() ? 1 : 0;
    for (const auto& bank : log.banks)
      FUZZ_CHECK(log.digest(event, bank.algorithm).size() == bank.digest_bytes);
  }
  for (const auto& bank : log.banks) {
    const auto all = replay(log, bank.algorithm);
    if (!all) continue;
    std::size_t num_replayed = 0;
    for (const auto& [index, reg] : *all) {
      FUZZ_CHECK(reg.value.size() == bank.digest_bytes);
      for (const auto& [type, count] : reg.num_events) num_replayed += count;
    }
    FUZZ_CHECK(num_replayed == num_extended);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const BytesView bytes{reinterpret_cast<const std::byte*>(data), size};
  if (const auto log = parse_event_log(bytes)) {
    FUZZ_CHECK(is_event_log(bytes) && std::ranges::equal((*log)->bytes, bytes));
    check(**log);
  }
  if (const auto log = parse_event_log_json(tacit::as_text(bytes))) check(**log);
  (void)find_google_attestation({bytes, bytes, size > 0 && data[0] == '{'});
  return 0;
}
