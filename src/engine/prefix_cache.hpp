// What free slots still hold of ended requests, so that a later request of the same tenant need not
// compute it again.
//
// The wall between tenants: a prefix is found by the salt of its request and by nothing else, and
// the salt comes from the front (domain::CacheSalt). Memory is bounded by the slots, which exist
// anyway. What has to make room is the least recently used prefix of the tenant that holds most of
// them, so that a busy tenant pushes out its own before anybody else's.
//
// No model, no time, not thread-safe. Token ids are content: they are wiped.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "domain/request.hpp"

namespace tacit::engine {

using Token = std::int32_t;
using Slot = std::uint32_t;  // a place in the model's cache: 0 to slots - 1

// common_prefix is the number of tokens that both begin with.
std::uint32_t common_prefix(std::span<const Token> a, std::span<const Token> b) noexcept;

class PrefixCache {
 public:
  explicit PrefixCache(std::uint32_t slots) : kept_(slots) {}
  ~PrefixCache();
  PrefixCache(const PrefixCache&) = delete;
  PrefixCache& operator=(const PrefixCache&) = delete;

  struct Match {
    Slot slot = 0;
    std::uint32_t tokens = 0;  // that are the same, at least 1
    bool whole = false;        // they are all that the slot holds
  };
  // The kept slot of this salt that begins with most of `tokens`; of equal ones one that is whole,
  // then the last used. `whole_only`: for models that cannot forget the end of what they hold.
  std::optional<Match> find(const domain::CacheSalt& salt, std::span<const Token> tokens,
                            bool whole_only = false) const;

  // The slot, which held nothing, holds these tokens now.
  void keep(Slot slot, const domain::CacheSalt& salt, std::span<const Token> tokens);
  // It holds nothing now.
  void drop(Slot slot) noexcept;
  bool holds(Slot slot) const noexcept { return kept_[slot].used_at != 0; }
  bool is_of(Slot slot, const domain::CacheSalt& salt) const noexcept {
    return holds(slot) && kept_[slot].salt == salt;
  }
  // Which slot is to make room; nullopt when nothing is kept.
  std::optional<Slot> victim() const;

 private:
  struct Kept {
    domain::CacheSalt salt{};
    std::vector<Token> tokens;
    std::uint64_t used_at = 0;  // 0: nothing is kept
  };
  std::vector<Kept> kept_;
  std::uint64_t uses_ = 0;
};

}  // namespace tacit::engine
