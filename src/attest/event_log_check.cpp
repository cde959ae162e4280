#include "attest/event_log_check.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include "attest/checks.hpp"
#include "core/text.hpp"

namespace tacit::attest {
namespace {

using Of = QuotedRegisters::Of;

std::string bank_name(std::uint16_t algorithm) {
  switch (algorithm) {
    case kLogSha1: return "SHA-1";
    case kLogSha256: return "SHA-256";
    case kLogSha384: return "SHA-384";
    case kLogSha512: return "SHA-512";
    case kLogSm3: return "SM3";
    default: break;
  }
  return "another hash";
}

// The log's index as the index of the quoted registers; nullopt when it has none there.
std::optional<std::uint32_t> register_of(const EventLog& log, Of of, std::uint32_t index) {
  if (of == Of::tpm) return log.kind == LogKind::tcg ? std::optional{index} : std::nullopt;
  if (log.kind == LogKind::td) return index;
  // Index 0 of a TD's log is MRTD, which nothing extends after its start.
  return index >= 1 && index <= 4 ? std::optional{index - 1} : std::nullopt;
}

std::string register_name(Of of, std::uint32_t number) {
  return (of == Of::td ? "rtmr" : "pcr") + std::to_string(number);
}

std::string summary(const ReplayedRegister& reg) {
  unsigned all = 0;
  std::string types;
  for (const auto& [type, count] : reg.num_events) {
    all += count;
    types += (types.empty() ? "" : ", ") + std::to_string(count) + " " + event_type_name(type);
  }
  return std::to_string(all) + " events replayed (" + types + "); the data of " +
         std::to_string(reg.num_described) + " are proved, too";
}

enum class Fit : std::uint8_t { not_about, differs, fits };

// Compares one log with one bank. On `fits`, adds the claims.
Fit compare(const EventLog& log, const QuotedRegisters& quoted, LogReplays::Outcome& outcome,
            Appraisal& out) {
  const auto replayed = replay(log, quoted.algorithm);
  if (!replayed) return Fit::not_about;
  std::vector<std::pair<std::string, std::string>> claims;
  for (const auto& [index, reg] : *replayed) {
    const auto number = register_of(log, quoted.of, index);
    const auto at = number ? quoted.values.find(*number) : quoted.values.end();
    if (!number) return Fit::not_about;
    if (at == quoted.values.end()) continue;  // the quote is silent about it
    if (!equal(at->second, reg.value)) {
      outcome.expected = register_name(quoted.of, *number) + " is " + to_hex(at->second);
      outcome.actual = "a replay of the log gives " + to_hex(reg.value);
      return Fit::differs;
    }
    claims.emplace_back("event_log." + register_name(quoted.of, *number), summary(reg));
  }
  if (claims.empty()) return Fit::not_about;
  outcome.matched = true;
  for (auto& [name, value] : claims)
    if (out.claim_value(name).empty())
      out.claim(std::move(name), std::move(value), Source::derived);
  return Fit::fits;
}

struct Fits {
  bool any = false;
  bool differs = false;
};

Fits compare_all(const EventLog& log, std::span<const QuotedRegisters> quoted,
                 LogReplays::Outcome& outcome, Appraisal& out) {
  Fits all;
  for (const auto& bank : quoted) {
    const auto fit = compare(log, bank, outcome, out);
    if (fit == Fit::differs) all.differs = true;
    if (fit == Fit::fits) all.any = true;
  }
  return all;
}

void warn_sha1(Appraisal& out) {
  out.warn("event-log-sha1",
           "The event log has SHA-1 digests only: other events with the same digests can be made, "
           "so that it proves little.");
}

}  // namespace

void check_event_logs(std::span<const QuotedRegisters> quoted, const EventLogPtr& own,
                      const Context& context, Appraisal& out) {
  if (own != nullptr) {
    LogReplays::Outcome outcome;
    const auto fits = compare_all(*own, quoted, outcome, out);
    if (fits.differs)
      out.reject("event-log", outcome.expected, outcome.actual);
    else if (!fits.any && !own->sha1_only())
      out.reject("event-log", "a log about the registers that were quoted", "one about others");
    if (own->sha1_only()) warn_sha1(out);
  }
  for (const auto& log : context.collateral.event_logs) {
    auto& outcome = context.replays.of(*log);
    // A log that fits in one bank and not in another fits nowhere.
    Appraisal scratch{"", ""};
    LogReplays::Outcome found;
    const auto fits = compare_all(*log, quoted, found, scratch);
    if (fits.differs || !fits.any) {
      if (fits.differs && !outcome.matched) outcome = {false, found.expected, found.actual};
      continue;
    }
    outcome.matched = true;
    for (const auto& claim : scratch.claims())
      if (out.claim_value(claim.name).empty()) out.claim(claim.name, claim.value, claim.source);
    if (log->sha1_only()) warn_sha1(out);
  }
}

void describe_event_log(const EventLog& log, Appraisal& out) {
  std::string banks;
  bool usable = false;
  for (const auto& bank : log.banks) {
    banks += (banks.empty() ? "" : ", ") + bank_name(bank.algorithm);
    usable = usable || bank.algorithm == kLogSha1 || bank.algorithm == kLogSha256 ||
             bank.algorithm == kLogSha384 || bank.algorithm == kLogSha512;
  }
  if (!usable) {
    out.reject("event-log", "a bank of SHA-1, SHA-256, SHA-384 or SHA-512", banks);
    return;
  }
  out.claim("events", std::to_string(log.events.size()), Source::asserted);
  out.claim("banks", banks, Source::asserted);
  if (log.sha1_only()) warn_sha1(out);
  out.cannot_tell("event-log", "a quote of the registers that the log is about", "none was given");
}

}  // namespace tacit::attest
