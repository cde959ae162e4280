// Who of those in line is next: weighted fair queueing between tenants, by the Virtual Token
// Counter of Sheng et al., "Fairness in Serving Large Language Models" (OSDI 2024).
//
// Every tenant has a counter of the tokens computed for it, divided by its weight. Next is the
// oldest request of the tenant with the lowest counter; so between two tenants that both always
// have something in line the counters stay within 2 * max(longest prompt, all slots' tokens) /
// smallest weight, whatever either sends. Who comes (back) to the line begins at the lowest counter
// in it: an absent tenant saves nothing up, and one that was served much keeps its debt.
//
// Deterministic; knows neither time nor models. Not thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>

#include "domain/request.hpp"

namespace tacit::engine {

// Requests with one salt are one tenant's; all without a salt count as one tenant together.
using TenantKey = std::optional<domain::CacheSalt>;

class FairQueue {
 public:
  static constexpr std::uint32_t kWeightMax = 1000;

  // Arrivals are unique, and later ones larger. `weight`: 1 to kWeightMax; the last one told
  // counts.
  void push(const TenantKey& tenant, std::uint32_t weight, std::uint64_t arrival);
  void remove(const TenantKey& tenant, std::uint64_t arrival);
  // The arrival that is next; nullopt when nobody is in line.
  std::optional<std::uint64_t> next() const;
  // So many tokens are, or will at once be, computed for a tenant.
  void charge(const TenantKey& tenant, std::uint64_t tokens);
  // When the line is full: the newest arrival of the tenant that crowds it most, if that tenant has
  // more than its share beside `newcomer`; else nullopt, and the newcomer has to go.
  std::optional<std::uint64_t> crowding(const TenantKey& newcomer, std::uint32_t weight) const;
  std::size_t size() const noexcept { return size_; }
  std::size_t num_tenants() const noexcept { return tenants_.size(); }

 private:
  struct Tenant {
    std::uint64_t counter = 0;  // tokens * kScale / weight
    std::uint32_t weight = 1;
    std::set<std::uint64_t> arrivals;
  };
  using Tenants = std::map<TenantKey, Tenant>;
  Tenants::const_iterator least_served() const;
  void forget_idle();

  Tenants tenants_;
  std::size_t size_ = 0;
  std::optional<TenantKey> last_;  // who left the line last
};

}  // namespace tacit::engine
