// Which requests were seen: refuses the second of two that are the same. Bounded in memory and in
// time; thread-safe.
//
// A request carries the time at which it was made and a random nonce. Too old or too far ahead, and
// it is refused; else its nonce is kept until it would be too old. Several server processes never
// share keys, and keys never outlive their process, so that a request for one opens at no other and
// none after a restart.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <unordered_map>

#include "core/bytes.hpp"
#include "core/error.hpp"
#include "core/time.hpp"

namespace tacit::seal {

using ReplayNonce = std::array<std::byte, 16>;

// The nonce of a request that brings none: its encapsulated key, which no honest client uses twice.
ReplayNonce replay_nonce_of(BytesView enc) noexcept;

struct ReplayOptions {
  Seconds window{60};                // accepted distance from the server's time, both ways
  std::size_t nonces_max = 1 << 20;  // about 64 MiB at most
};

class ReplayCache {
 public:
  explicit ReplayCache(ReplayOptions options = {});

  // Whether a request of that time would be considered at all.
  bool in_window(WallTime made, WallTime now) const noexcept;

  // Notes the request. Errors: forbidden when it is outside the window or was seen; overloaded when
  // the cache is full (nothing is forgotten early).
  Result<void> admit(const ReplayNonce& nonce, WallTime made, WallTime now);

  std::size_t size() const;

 private:
  struct NonceHash {
    std::size_t operator()(const ReplayNonce& nonce) const noexcept;
  };
  void forget(WallTime now);

  ReplayOptions options_;
  mutable std::mutex mutex_;  // held for one look-up
  std::unordered_map<ReplayNonce, std::int64_t, NonceHash>
      seen_;  // to the ms after which to forget
  std::int64_t next_sweep_ms_ = 0;
};

}  // namespace tacit::seal
