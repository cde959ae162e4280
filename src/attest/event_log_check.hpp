// Comparing event logs with registers that somebody signed. Private to this module.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "attest/evidence.hpp"

namespace tacit::attest {

// What a quote says about the registers of one bank, by the log's index: PCRs, or RTMRs.
struct QuotedRegisters {
  enum class Of : std::uint8_t { tpm, td };
  Of of = Of::tpm;
  std::uint16_t algorithm = 0;
  std::map<std::uint32_t, BytesView> values;
};

// LogReplays remembers which of the given logs a replay explained, over all pieces of evidence.
class LogReplays {
 public:
  struct Outcome {
    bool matched = false;
    std::string expected, actual;  // of the register that came out differently
  };
  Outcome& of(const EventLog& log) { return outcomes_[&log]; }
  const Outcome* find(const EventLog& log) const {
    const auto at = outcomes_.find(&log);
    return at == outcomes_.end() ? nullptr : &at->second;
  }

 private:
  std::map<const EventLog*, Outcome> outcomes_;
};

// Replays the log that came inside the evidence (`own`, which must fit; may be null) and those
// given beside it, of which each that touches a quoted register and explains all it touches becomes
// claims: how many events of which types, and of how many the data is proved, too.
void check_event_logs(std::span<const QuotedRegisters> quoted, const EventLogPtr& own,
                      const Context& context, Appraisal& out);
// What can be said about a log with no quote beside it: how many events, in which banks. Refuses a
// log with no bank that is used here.
void describe_event_log(const EventLog& log, Appraisal& out);

}  // namespace tacit::attest
