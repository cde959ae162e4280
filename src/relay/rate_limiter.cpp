#include "relay/rate_limiter.hpp"

#include <algorithm>
#include <cstring>

#include <boost/asio/ip/address.hpp>

#include "async/async.hpp"
#include "core/text.hpp"
#include "crypto/hash.hpp"
#include "crypto/random.hpp"

namespace tacit::relay {
namespace {

constexpr Seconds kSweepEvery{10};
constexpr std::size_t kPrefixBytes = 8;  // an IPv6 /64: what one subscriber has

}  // namespace

std::string client_of(std::string_view peer) {
  auto host = peer.substr(0, peer.rfind(':'));
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  boost::system::error_code ec;
  const auto address = asio::ip::make_address(std::string{host}, ec);
  if (ec) return std::string{peer};
  if (address.is_v4()) return address.to_string();
  const auto v6 = address.to_v6();
  if (v6.is_v4_mapped()) {
    return asio::ip::make_address_v4(asio::ip::v4_mapped, v6).to_string();
  }
  const auto bytes = v6.to_bytes();
  return to_hex(std::as_bytes(std::span{bytes}.first(kPrefixBytes)));
}

RateLimiter::RateLimiter(RateLimits limits) : limits_{limits} {
  crypto::random_bytes(hash_key_);
  limits_.client.burst = std::max(1.0, limits_.client.burst);
  limits_.total.burst = std::max(1.0, limits_.total.burst);
  total_.tokens = limits_.total.burst;
  others_.tokens = limits_.client.burst;
}

bool RateLimiter::take(Bucket& bucket, const Rate& rate, SteadyTime now) noexcept {
  if (rate.per_s <= 0) return true;
  const std::chrono::duration<double> passed = now - bucket.filled;
  bucket.tokens = std::min(rate.burst, bucket.tokens + passed.count() * rate.per_s);
  bucket.filled = now;
  if (bucket.tokens < 1) return false;
  bucket.tokens -= 1;
  return true;
}

void RateLimiter::forget_full(SteadyTime now) {
  next_sweep_ = now + kSweepEvery;
  std::erase_if(clients_, [&](const auto& entry) {
    const std::chrono::duration<double> passed = now - entry.second.filled;
    return entry.second.tokens + passed.count() * limits_.client.per_s >= limits_.client.burst;
  });
}

RateLimiter::Bucket& RateLimiter::client(std::string_view peer, SteadyTime now) {
  const auto digest = crypto::hmac_sha256(hash_key_, as_bytes(client_of(peer)));
  std::uint64_t id = 0;
  std::memcpy(&id, digest.data(), sizeof id);
  const auto found = clients_.find(id);
  if (found != clients_.end()) return found->second;
  if (now >= next_sweep_) forget_full(now);
  if (clients_.size() >= limits_.clients_max) return others_;
  return clients_.emplace(id, Bucket{limits_.client.burst, now}).first->second;
}

Result<void> RateLimiter::admit(std::string_view peer, SteadyTime now) {
  if (limits_.client.per_s > 0 && !take(client(peer, now), limits_.client, now)) {
    return fail(Code::rate_limited, "too many requests from this client");
  }
  if (!take(total_, limits_.total, now)) return fail(Code::overloaded, "too many requests");
  return {};
}

}  // namespace tacit::relay
