// How often clients may ask: token buckets, one for each client and one for all together. Sans I/O
// and without a clock of its own; not thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <unordered_map>

#include "core/error.hpp"
#include "core/time.hpp"

namespace tacit::relay {

// A bucket fills with `per_s` tokens a second, up to `burst`; each request takes one. 0 a second:
// no limit.
struct Rate {
  double per_s = 0;
  double burst = 1;
};

struct RateLimits {
  Rate client;
  Rate total;
  // Clients that are remembered at the same time. Those beyond share one client's bucket.
  std::size_t clients_max = 65536;
};

class RateLimiter {
 public:
  explicit RateLimiter(RateLimits limits);

  // Whether the client at `peer` ("192.0.2.1:50", "[2001:db8::1]:50") may ask at `now`. Clients are
  // told apart by IPv4 address or IPv6 /64 prefix, of which only a keyed hash is kept, and only
  // while its bucket is not full. Errors: rate_limited (this client), overloaded (all of them).
  Result<void> admit(std::string_view peer, SteadyTime now);

  std::size_t num_clients() const noexcept { return clients_.size(); }

 private:
  struct Bucket {
    double tokens = 0;
    SteadyTime filled{};
  };
  static bool take(Bucket& bucket, const Rate& rate, SteadyTime now) noexcept;
  Bucket& client(std::string_view peer, SteadyTime now);
  void forget_full(SteadyTime now);

  RateLimits limits_;
  std::array<std::byte, 32> hash_key_{};
  std::unordered_map<std::uint64_t, Bucket> clients_;
  Bucket total_;
  Bucket others_;
  SteadyTime next_sweep_{};
};

// What of a peer's address tells clients apart: an IPv4 address, the first 64 bits of an IPv6
// address in hexadecimal, or the text itself when it is neither.
std::string client_of(std::string_view peer);

}  // namespace tacit::relay
