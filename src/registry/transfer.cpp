#include "registry/transfer.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "async/wait.hpp"
#include "core/text.hpp"

namespace tacit::registry {
namespace {

// What the server said clearly, what the disk says and what the caller decided stay; the rest may
// be better a moment later.
bool worth_another_attempt(const Error& error) {
  return error.code() == Code::unavailable || error.code() == Code::deadline_exceeded;
}

}  // namespace

Error transfer_error(Error error) {
  if (error.code() == Code::malformed) {
    return {Code::unavailable, "the server's answer was cut short or damaged"};
  }
  if (error.code() == Code::io) return {Code::unavailable, "the connection broke"};
  return error;
}

std::optional<std::uint64_t> content_range_total(std::string_view value, std::uint64_t first,
                                                 std::uint64_t last) {
  constexpr std::string_view unit = "bytes ";
  value = trim_ascii(value);
  if (value.size() < unit.size() || !iequals_ascii(value.substr(0, unit.size()), unit)) {
    return std::nullopt;
  }
  value = trim_ascii(value.substr(unit.size()));
  const auto dash = value.find('-');
  const auto slash = value.find('/');
  if (dash == std::string_view::npos || slash == std::string_view::npos || slash < dash) {
    return std::nullopt;
  }
  const auto from = parse_u64(value.substr(0, dash));
  const auto to = parse_u64(value.substr(dash + 1, slash - dash - 1));
  const auto total = parse_u64(value.substr(slash + 1));
  if (from != first || to != last || !total || *total <= last) return std::nullopt;
  return total;
}

Async<void> with_retries(const std::function<Async<void>()>& attempt,
                         const store::BlobWriter& writer, const TransferLimits& limits, Logger& log,
                         Deadline deadline) {
  unsigned failures = 0;
  auto pause = limits.backoff_first;
  while (true) {
    const auto before = writer.offset();
    auto done = co_await attempt();
    if (done) co_return done;
    if (writer.offset() > before) {
      failures = 0;
      pause = limits.backoff_first;
    }
    if (deadline.passed(std::chrono::steady_clock::now())) co_return done;
    if (!worth_another_attempt(done.error()) || ++failures >= limits.attempts_max) {
      if (done.error().code() == Code::deadline_exceeded) {
        done = fail(Code::unavailable, "the server sent nothing for too long");
      }
      co_return done;
    }
    log.info("registry.transfer_retry",
             {{"code", done.error().code()}, {"attempt", failures}, {"offset", writer.offset()}});
    TACIT_CO_CHECK(co_await async::sleep_until(deadline.at_most(pause).when()));
    pause = std::min(pause * 2, limits.backoff_max);
  }
}

}  // namespace tacit::registry
