#include "seal/replay_cache.hpp"

#include <cstring>

#include "crypto/hash.hpp"

namespace tacit::seal {
namespace {

std::int64_t unix_ms(WallTime time) noexcept {
  return std::chrono::duration_cast<Milliseconds>(time.time_since_epoch()).count();
}

}  // namespace

ReplayNonce replay_nonce_of(BytesView enc) noexcept {
  const auto digest = crypto::sha256(enc);
  ReplayNonce nonce{};
  std::memcpy(nonce.data(), digest.data(), nonce.size());
  return nonce;
}

ReplayCache::ReplayCache(ReplayOptions options) : options_{options} {}

std::size_t ReplayCache::NonceHash::operator()(const ReplayNonce& nonce) const noexcept {
  // Nonces of honest clients are random, and others harm their own requests only: the first bytes
  // will do, but for one who fills a bucket on purpose; he pays with an authenticated request each.
  std::uint64_t a = 0;
  std::uint64_t b = 0;
  std::memcpy(&a, nonce.data(), sizeof a);
  std::memcpy(&b, nonce.data() + sizeof a, sizeof b);
  return static_cast<std::size_t>(a ^ b * 0x9e3779b97f4a7c15u);
}

bool ReplayCache::in_window(WallTime made, WallTime now) const noexcept {
  const auto distance = unix_ms(made) > unix_ms(now) ? made - now : now - made;
  return distance <= options_.window;
}

void ReplayCache::forget(WallTime now) {
  const auto now_ms = unix_ms(now);
  if (now_ms < next_sweep_ms_) return;
  std::erase_if(seen_, [now_ms](const auto& entry) { return entry.second < now_ms; });
  // A sweep costs as much as what it looks at: not more often than a quarter of the window.
  next_sweep_ms_ = now_ms + Milliseconds{options_.window}.count() / 4;
}

Result<void> ReplayCache::admit(const ReplayNonce& nonce, WallTime made, WallTime now) {
  if (!in_window(made, now)) return fail(Code::forbidden, "request was made at another time");
  const std::scoped_lock lock{mutex_};
  forget(now);
  if (seen_.contains(nonce)) return fail(Code::forbidden, "request was seen before");
  if (seen_.size() >= options_.nonces_max) return fail(Code::overloaded, "replay cache is full");
  seen_.emplace(nonce, unix_ms(made) + Milliseconds{options_.window}.count());
  return {};
}

std::size_t ReplayCache::size() const {
  const std::scoped_lock lock{mutex_};
  return seen_.size();
}

}  // namespace tacit::seal
