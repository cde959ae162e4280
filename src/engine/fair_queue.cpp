#include "engine/fair_queue.hpp"

#include <algorithm>

namespace tacit::engine {
namespace {

constexpr std::uint64_t kScale = 1'000'000;  // so that weights divide well
constexpr std::size_t kTenantsMax = 4096;    // whose counters are remembered while they are away

}  // namespace

FairQueue::Tenants::const_iterator FairQueue::least_served() const {
  auto best = tenants_.end();
  for (auto it = tenants_.begin(); it != tenants_.end(); ++it) {
    const auto& tenant = it->second;
    if (tenant.arrivals.empty()) continue;
    const bool better = best == tenants_.end() || tenant.counter < best->second.counter ||
                        (tenant.counter == best->second.counter &&
                         *tenant.arrivals.begin() < *best->second.arrivals.begin());
    if (better) best = it;
  }
  return best;
}

void FairQueue::push(const TenantKey& key, std::uint32_t weight, std::uint64_t arrival) {
  Tenants::const_iterator lowest = least_served();
  if (lowest == tenants_.end() && last_) lowest = tenants_.find(*last_);
  const auto floor = lowest == tenants_.end() ? 0 : lowest->second.counter;
  auto& tenant = tenants_[key];
  tenant.weight = std::clamp(weight, 1u, kWeightMax);
  if (tenant.arrivals.empty()) tenant.counter = std::max(tenant.counter, floor);
  tenant.arrivals.insert(arrival);
  ++size_;
  if (tenants_.size() > kTenantsMax) forget_idle();
}

void FairQueue::remove(const TenantKey& key, std::uint64_t arrival) {
  const auto it = tenants_.find(key);
  if (it == tenants_.end() || it->second.arrivals.erase(arrival) == 0) return;
  --size_;
  if (it->second.arrivals.empty()) last_ = key;
}

std::optional<std::uint64_t> FairQueue::next() const {
  const auto least = least_served();
  if (least == tenants_.end()) return std::nullopt;
  return *least->second.arrivals.begin();
}

void FairQueue::charge(const TenantKey& key, std::uint64_t tokens) {
  const auto it = tenants_.find(key);
  if (it != tenants_.end()) it->second.counter += tokens * kScale / it->second.weight;
}

std::optional<std::uint64_t> FairQueue::crowding(const TenantKey& newcomer,
                                                 std::uint32_t weight) const {
  const auto own = tenants_.find(newcomer);
  const std::uint64_t mine = 1 + (own == tenants_.end() ? 0 : own->second.arrivals.size());
  const Tenant* most = nullptr;
  for (const auto& [key, tenant] : tenants_) {
    if (key == newcomer || tenant.arrivals.empty()) continue;
    if (most == nullptr ||
        tenant.arrivals.size() * most->weight > most->arrivals.size() * tenant.weight)
      most = &tenant;
  }
  if (most == nullptr || most->arrivals.size() * weight <= mine * most->weight) return std::nullopt;
  return *most->arrivals.rbegin();
}

// Forgets first whose counter would be lifted anyway, which loses nothing.
void FairQueue::forget_idle() {
  auto least = tenants_.end();
  for (auto it = tenants_.begin(); it != tenants_.end(); ++it) {
    if (!it->second.arrivals.empty() || it->first == last_) continue;
    if (least == tenants_.end() || it->second.counter < least->second.counter) least = it;
  }
  if (least != tenants_.end()) tenants_.erase(least);
}

}  // namespace tacit::engine
