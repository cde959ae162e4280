// The ways in which an adversary alters a message of the sealed channel: by bits, by frames, with
// parts of other messages. Seeded: the same dice make the same edits.
#pragma once

#include <random>
#include <vector>

#include "core/bytes.hpp"

namespace tacit::adversary {

using Dice = std::mt19937_64;

// A number below n, n > 0.
inline std::size_t below(Dice& dice, std::size_t n) { return static_cast<std::size_t>(dice() % n); }
inline bool chance(Dice& dice, unsigned percent) { return below(dice, 100) < percent; }

// A message as the framing has it. `head` is what precedes the frames, each frame has its length
// before it, `final` its zero.
struct Parts {
  Bytes head;
  std::vector<Bytes> frames;
  Bytes final;
};
inline constexpr std::size_t kRequestHead = 7 + 1120;
inline constexpr std::size_t kReplyHead = 1120;

// Of a message that is well formed.
Parts parts_of(BytesView message, std::size_t head_bytes);
Bytes joined(const Parts& parts);

// `message` altered in one way; `others` are messages to take parts from, of either direction. In
// rare cases the same bytes come out: compare.
Bytes altered(BytesView message, std::size_t head_bytes, const std::vector<const Bytes*>& others,
              Dice& dice);

}  // namespace tacit::adversary
