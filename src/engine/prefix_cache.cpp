#include "engine/prefix_cache.hpp"

#include <algorithm>

#include "core/secret.hpp"

namespace tacit::engine {

std::uint32_t common_prefix(std::span<const Token> a, std::span<const Token> b) noexcept {
  const auto n = std::min(a.size(), b.size());
  const auto [end, other] =
      std::mismatch(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(n), b.begin());
  return static_cast<std::uint32_t>(end - a.begin());
}

PrefixCache::~PrefixCache() {
  for (Slot slot = 0; slot < kept_.size(); ++slot) drop(slot);
}

std::optional<PrefixCache::Match> PrefixCache::find(const domain::CacheSalt& salt,
                                                    std::span<const Token> tokens,
                                                    bool whole_only) const {
  std::optional<Match> best;
  std::uint64_t best_used_at = 0;
  for (Slot slot = 0; slot < kept_.size(); ++slot) {
    const auto& kept = kept_[slot];
    if (kept.used_at == 0 || kept.salt != salt) continue;
    const auto n = common_prefix(kept.tokens, tokens);
    const bool whole = n == kept.tokens.size();
    if (n == 0 || (best && n < best->tokens) || (whole_only && !whole)) continue;
    const bool better = !best || n > best->tokens || (whole && !best->whole) ||
                        (whole == best->whole && kept.used_at > best_used_at);
    if (!better) continue;
    best = Match{slot, n, whole};
    best_used_at = kept.used_at;
  }
  return best;
}

void PrefixCache::keep(Slot slot, const domain::CacheSalt& salt, std::span<const Token> tokens) {
  drop(slot);
  auto& kept = kept_[slot];
  kept.salt = salt;
  kept.tokens.assign(tokens.begin(), tokens.end());
  kept.used_at = ++uses_;
}

void PrefixCache::drop(Slot slot) noexcept {
  auto& kept = kept_[slot];
  wipe(std::as_writable_bytes(std::span{kept.tokens}));
  kept = Kept{};
}

std::optional<Slot> PrefixCache::victim() const {
  std::optional<Slot> best;
  std::ptrdiff_t best_held = 0;
  for (Slot slot = 0; slot < kept_.size(); ++slot) {
    if (!holds(slot)) continue;
    const auto& kept = kept_[slot];
    const auto held = std::ranges::count_if(
        kept_, [&](const Kept& other) { return other.used_at != 0 && other.salt == kept.salt; });
    if (best && (held < best_held || (held == best_held && kept.used_at > kept_[*best].used_at)))
      continue;
    best = slot;
    best_held = held;
  }
  return best;
}

}  // namespace tacit::engine
