// An Oblivious HTTP relay (RFC 9458 section 2.2): passes encapsulated requests of clients on to
// targets that were named when it started, and their answers back. It has no keys and opens
// nothing. What a target sees of a client is the message and that it came from here: no address, no
// header of the client's, no connection of its own.
//
// It carries sealed HTTP and Oblivious HTTP, plain and chunked, and what clients need to begin: key
// configurations and evidence.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/log.hpp"
#include "http/client.hpp"
#include "http/exchange.hpp"
#include "relay/batch.hpp"
#include "relay/rate_limiter.hpp"

namespace tacit::relay {

// Target is a server that requests may go to.
struct Target {
  std::string url;   // "https://ai.example.org", without a slash at its end
  std::string path;  // under which clients reach it here: "" or "/ai.example.org"
};
// One target is reached at the relay's root, and several at "/" and their authority each. Errors:
// invalid_argument (no http or https URL, the same twice).
Result<std::vector<Target>> make_targets(const std::vector<std::string>& urls);

struct RelayOptions {
  std::vector<Target> targets;
  // With `batch`, requests are held back whole, and may have no more bytes than this.
  std::size_t batched_bytes_max = 1024 * 1024;
};

// What has happened, in numbers.
struct RelayCounts {
  std::uint64_t forwarded = 0;
  std::uint64_t limited = 0;  // refused by a rate
  std::uint64_t refused = 0;  // not what a relay carries
  std::uint64_t failed = 0;   // the target could not be reached or broke off
};

// Relay serves one shard. What it is given outlives it.
class Relay final : public http::Handler {
 public:
  // `batch` may be null.
  Relay(RelayOptions options, http::Client& client, RateLimiter& limiter, Batch* batch);
  Task<> serve(http::Exchange& exchange) override;
  const RelayCounts& counts() const noexcept { return counts_; }

 private:
  struct Call;
  Async<void> forward(const Call& call);
  Async<void> forward_get(const Call& call);
  Async<void> forward_post(const Call& call);
  Async<std::unique_ptr<http::Response>> send(const Call& call, http::Headers headers);
  Async<std::unique_ptr<http::Response>> stream(const Call& call, http::Headers headers,
                                                BytesView begun);
  Async<void> answer(const Call& call, http::Response& response);

  RelayOptions options_;
  http::Client& client_;
  RateLimiter& limiter_;
  Batch* batch_;
  RelayCounts counts_;
};

}  // namespace tacit::relay
