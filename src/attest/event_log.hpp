// Event logs of measured boots, and their replay: what was extended into which register.
//
// Formats: "TCG PC Client Platform Firmware Profile", section 10 (crypto-agile logs, and the older
// ones of SHA-1 alone); the CCEL of UEFI's confidential computing protocol, which is the same with
// registers of a TD; and the JSON list that dstack's guests write. A log proves nothing by itself:
// only registers that somebody signed, and that a replay reaches, make its digests believable. The
// data beside a digest is believable only where it hashes to it (LogEvent::data_is_digested).
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/bytes.hpp"
#include "core/error.hpp"
#include "crypto/hash.hpp"

namespace tacit::attest {

inline constexpr std::size_t kEventsMax = 16 * 1024;
inline constexpr std::size_t kLogBanksMax = 8;

// TPM_ALG_ID. kSm3 has a size here and no replay: logs of nothing else are of no use.
inline constexpr std::uint16_t kLogSha1 = 0x0004;
inline constexpr std::uint16_t kLogSha256 = 0x000b;
inline constexpr std::uint16_t kLogSha384 = 0x000c;
inline constexpr std::uint16_t kLogSha512 = 0x000d;
inline constexpr std::uint16_t kLogSm3 = 0x0012;

enum class LogKind : std::uint8_t {
  tcg,  // indices are PCRs, or, in a TD's log, 0 for MRTD and 1 to 4 for RTMR0 to RTMR3
  td,   // indices are RTMRs (JSON)
};

struct LogBank {
  std::uint16_t algorithm = 0;
  std::size_t digest_bytes = 0;
};

struct LogEvent {
  std::uint32_t index = 0;
  std::uint32_t type = 0;
  BytesView digests;  // as written: (algorithm, digest)...; one bare digest when there is one bank
  BytesView data;
  bool is_extended() const noexcept { return type != 3; }  // EV_NO_ACTION is for readers only
};

// EventLog owns its bytes; views point into them. Immutable once parsed.
struct EventLog {
  Bytes bytes;
  LogKind kind = LogKind::tcg;
  std::vector<LogBank> banks;
  std::vector<LogEvent> events;
  std::uint8_t startup_locality = 0;  // with which PCR 0 began

  bool has_bank(std::uint16_t algorithm) const noexcept;
  bool sha1_only() const noexcept;
  // The digest of `event` in that bank; empty when there is none.
  BytesView digest(const LogEvent& event, std::uint16_t algorithm) const noexcept;
  // Whether the event's data hash to its digest, so that the register vouches for the data, too.
  bool data_is_digested(const LogEvent& event, std::uint16_t algorithm) const;
};
using EventLogPtr = std::shared_ptr<const EventLog>;

// Whether the bytes begin as a binary log does.
bool is_event_log(BytesView bytes) noexcept;
// What follows the last event must be zeros or ones, as firmware leaves the rest of its area.
// Errors: malformed, unsupported, too_large.
Result<EventLogPtr> parse_event_log(BytesView bytes);
// The text of a JSON list of {"imr","event_type","digest","event","event_payload"}. Digests of
// run-time events (RTMR3) are computed from what they are about, so that their text is proved.
Result<EventLogPtr> parse_event_log_json(std::string_view text);

struct ReplayedRegister {
  Bytes value;
  std::map<std::uint32_t, unsigned> num_events;  // by type
  unsigned num_described = 0;                    // events whose data hash to their digest
};
// What each register that the log touches holds after it, in the bank of `algorithm`: SHA-1, -256,
// -384 or -512. Errors: unsupported (no such bank).
Result<std::map<std::uint32_t, ReplayedRegister>> replay(const EventLog& log,
                                                         std::uint16_t algorithm);

// "EV_SEPARATOR"; "event 0x..." for types without a name here.
std::string event_type_name(std::uint32_t type);

}  // namespace tacit::attest
