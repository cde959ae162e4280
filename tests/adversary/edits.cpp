#include "edits.hpp"

#include <algorithm>
#include <utility>

#include "seal/varint.hpp"

namespace tacit::adversary {
namespace {

std::ptrdiff_t index(std::size_t n) { return static_cast<std::ptrdiff_t>(n); }

Bytes copied(BytesView bytes) { return {bytes.begin(), bytes.end()}; }

Bytes random_bytes(std::size_t n, Dice& dice) {
  Bytes bytes(n);
  for (auto& byte : bytes) byte = static_cast<std::byte>(dice());
  return bytes;
}

// --- by bytes -------------------------------------------------------------------------------

using ByteEdit = void (*)(Bytes& wire, Dice& dice);

void flip_bits(Bytes& wire, Dice& dice) {
  const auto n = 1 + below(dice, 3);
  for (std::size_t i = 0; i < n; ++i) {
    wire[below(dice, wire.size())] ^= std::byte{1} << below(dice, 8);
  }
}
void cut_the_end(Bytes& wire, Dice& dice) { wire.resize(below(dice, wire.size())); }
void cut_a_byte(Bytes& wire, Dice& /*dice*/) { wire.pop_back(); }
void cut_the_beginning(Bytes& wire, Dice& dice) {
  wire.erase(wire.begin(), wire.begin() + index(1 + below(dice, wire.size())));
}
void cut_a_hole(Bytes& wire, Dice& dice) {
  const auto at = below(dice, wire.size());
  const auto n = 1 + below(dice, std::min<std::size_t>(wire.size() - at, 64));
  wire.erase(wire.begin() + index(at), wire.begin() + index(at + n));
}
void insert_bytes(Bytes& wire, Dice& dice) {
  const auto more = random_bytes(1 + below(dice, 40), dice);
  wire.insert(wire.begin() + index(below(dice, wire.size() + 1)), more.begin(), more.end());
}
void append_bytes(Bytes& wire, Dice& dice) {
  const auto more = random_bytes(1 + below(dice, 40), dice);
  wire.insert(wire.end(), more.begin(), more.end());
}
void zero_a_range(Bytes& wire, Dice& dice) {
  const auto at = below(dice, wire.size());
  const auto n = 1 + below(dice, wire.size() - at);
  std::fill_n(wire.begin() + index(at), n, std::byte{0});
}
// Key number, KEM, KDF or AEAD: what a downgrade would change.
void other_header(Bytes& wire, Dice& dice) {
  wire[below(dice, std::min<std::size_t>(7, wire.size()))] = static_cast<std::byte>(dice());
}
void all_random(Bytes& wire, Dice& dice) { wire = random_bytes(wire.size(), dice); }
void send_twice(Bytes& wire, Dice& /*dice*/) {
  const auto once = wire;
  wire.insert(wire.end(), once.begin(), once.end());
}

constexpr ByteEdit kByteEdits[] = {flip_bits,    flip_bits,    flip_bits,         cut_the_end,
                                   cut_a_byte,   cut_a_hole,   cut_the_beginning, insert_bytes,
                                   append_bytes, zero_a_range, other_header,      all_random,
                                   send_twice};

// --- by frames ------------------------------------------------------------------------------

using FrameEdit = void (*)(Parts& parts, const Parts& other, Dice& dice);

Bytes& any_frame(Parts& parts, Dice& dice) {
  const auto i = below(dice, parts.frames.size() + 1);
  return i < parts.frames.size() ? parts.frames[i] : parts.final;
}

void drop_frame(Parts& parts, const Parts& /*other*/, Dice& dice) {
  any_frame(parts, dice).clear();
}
void repeat_frame(Parts& parts, const Parts& /*other*/, Dice& dice) {
  auto& frame = any_frame(parts, dice);
  const auto once = frame;
  frame.insert(frame.end(), once.begin(), once.end());
}
void swap_frames(Parts& parts, const Parts& /*other*/, Dice& dice) {
  std::swap(any_frame(parts, dice), any_frame(parts, dice));
}
void take_frame(Parts& parts, const Parts& other, Dice& dice) {
  // At the same place, which is the likeliest to be believed.
  const auto i = below(dice, parts.frames.size() + 1);
  if (i >= parts.frames.size()) {
    parts.final = other.final;
  } else {
    parts.frames[i] = i < other.frames.size() ? other.frames[i] : other.final;
  }
}
void take_head(Parts& parts, const Parts& other, Dice& /*dice*/) { parts.head = other.head; }
void take_tail(Parts& parts, const Parts& other, Dice& dice) {
  const auto n = below(dice, parts.frames.size() + 1);
  const auto from = other.frames.begin() + index(std::min(n, other.frames.size()));
  parts.frames.resize(n);
  parts.frames.insert(parts.frames.end(), from, other.frames.end());
  parts.final = other.final;
}
void insert_frame(Parts& parts, const Parts& other, Dice& dice) {
  const auto& frame =
      other.frames.empty() ? other.final : other.frames[below(dice, other.frames.size())];
  parts.frames.insert(parts.frames.begin() + index(below(dice, parts.frames.size() + 1)), frame);
}
// A frame becomes the last one: its length becomes the zero of a final frame.
void end_early(Parts& parts, const Parts& /*other*/, Dice& dice) {
  if (parts.frames.empty()) return;
  const auto i = below(dice, parts.frames.size());
  const auto length = seal::get_varint(parts.frames[i]);
  if (!length) return;
  parts.final = {std::byte{0}};
  parts.final.insert(parts.final.end(), parts.frames[i].begin() + index(length->consumed),
                     parts.frames[i].end());
  parts.frames.resize(i);
}
// The final frame becomes one of the others, and the end is missing or empty.
void end_never(Parts& parts, const Parts& /*other*/, Dice& dice) {
  if (parts.final.empty()) return;
  Bytes frame;
  seal::put_varint(frame, parts.final.size() - 1);
  frame.insert(frame.end(), parts.final.begin() + 1, parts.final.end());
  parts.frames.push_back(std::move(frame));
  parts.final.clear();
  if (chance(dice, 50)) parts.final.push_back(std::byte{0});
}
// The same length in a longer form.
void write_length_longer(Parts& parts, const Parts& /*other*/, Dice& dice) {
  auto& frame = any_frame(parts, dice);
  if (frame.empty()) return;
  const auto length = seal::get_varint(frame);
  if (!length || length->consumed > 4) return;
  Bytes longer(8);
  for (std::size_t i = 0; i < 8; ++i) {
    longer[7 - i] = static_cast<std::byte>(length->value >> (8 * i));
  }
  longer[0] |= std::byte{0xc0};
  longer.insert(longer.end(), frame.begin() + index(length->consumed), frame.end());
  frame = std::move(longer);
}
// Two frames as one, and one as two.
void move_boundary(Parts& parts, const Parts& /*other*/, Dice& dice) {
  if (parts.frames.empty()) return;
  auto& frame = parts.frames[below(dice, parts.frames.size())];
  const auto length = seal::get_varint(frame);
  if (!length) return;
  const auto body = BytesView{frame}.subspan(length->consumed);
  if (body.size() < 18) return;
  const auto at = 17 + below(dice, body.size() - 17);
  Bytes two;
  seal::put_varint(two, at);
  two.insert(two.end(), body.begin(), body.begin() + index(at));
  seal::put_varint(two, body.size() - at);
  two.insert(two.end(), body.begin() + index(at), body.end());
  frame = std::move(two);
}

constexpr FrameEdit kFrameEdits[] = {drop_frame, repeat_frame,  swap_frames,        take_frame,
                                     take_head,  take_tail,     insert_frame,       end_early,
                                     end_never,  move_boundary, write_length_longer};

}  // namespace

Parts parts_of(BytesView message, std::size_t head_bytes) {
  Parts parts;
  const auto head = std::min(head_bytes, message.size());
  parts.head = copied(message.first(head));
  auto rest = message.subspan(head);
  while (!rest.empty()) {
    const auto length = seal::get_varint(rest);
    const auto whole = length ? length->consumed + static_cast<std::size_t>(length->value) : 0;
    if (!length || length->value == 0 || whole > rest.size()) break;
    parts.frames.push_back(copied(rest.first(whole)));
    rest = rest.subspan(whole);
  }
  parts.final = copied(rest);
  return parts;
}

Bytes joined(const Parts& parts) {
  auto wire = parts.head;
  for (const auto& frame : parts.frames) wire.insert(wire.end(), frame.begin(), frame.end());
  wire.insert(wire.end(), parts.final.begin(), parts.final.end());
  return wire;
}

Bytes altered(BytesView message, std::size_t head_bytes, const std::vector<const Bytes*>& others,
              Dice& dice) {
  const auto kind = below(dice, 100);
  // Something else altogether: a message of another session or of the other direction.
  if (kind < 4 && !others.empty()) return *others[below(dice, others.size())];
  if (kind < 50) {
    auto wire = copied(message);
    if (!wire.empty()) kByteEdits[below(dice, std::size(kByteEdits))](wire, dice);
    return wire;
  }
  auto parts = parts_of(message, head_bytes);
  const auto other =
      others.empty() ? parts : parts_of(*others[below(dice, others.size())], head_bytes);
  kFrameEdits[below(dice, std::size(kFrameEdits))](parts, other, dice);
  return joined(parts);
}

}  // namespace tacit::adversary
