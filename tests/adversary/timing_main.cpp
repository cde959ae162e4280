// Does the time of a refusal tell what was wrong? Requests that are bad in different ways, in
// random order through a server's front; Welch's t-test of each way against a bad tag, after the
// slowest samples were cropped, as dudect does it (Reparaz, Balasch, Verbauwhede, 2017). |t|
// under 4.5: nothing can be told; over 10: something can. On a busy machine take more samples.
//
//   tacit_adversary_timing [SAMPLES OF EACH]
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <functional>
#include <numeric>

#include <fmt/format.h>

#include "core/text.hpp"
#include "crypto/random.hpp"
#include "edits.hpp"
#include "front.hpp"

using namespace tacit;
using adversary::Dice;
using adversary::Front;

namespace {

constexpr std::size_t kMessages = 64;  // of each kind, used in turn

// What a request is made of, to be made badly.
struct Recipe {
  std::string_view key;
  WallTime made;
  std::size_t bad_prelude_byte = 0;  // 0: none
  std::size_t bad_frame_byte = 0;
};

// As SealedRequest::begin(), but it obeys.
Bytes cooked(const Front& front, const Recipe& recipe) {
  const auto& server = front.server();
  const auto caller = seal::caller_key(crypto::sha256(as_bytes(recipe.key)));
  const auto info = seal::sealed_info(seal::Direction::request, server.binding);
  auto outer = crypto::HpkeSender::setup(seal::kSealedSuite, server.key, info).value();
  seal::Prelude prelude{{}, recipe.made, {}, caller.id, {}};
  crypto::random_bytes(prelude.nonce);
  const auto reply = crypto::KemPrivateKey::generate(seal::kSealedSuite.kem);
  prelude.reply_key.assign(reply.public_bytes().begin(), reply.public_bytes().end());
  auto plain = seal::encode_prelude(prelude);
  if (recipe.bad_prelude_byte > 0) plain[recipe.bad_prelude_byte] ^= std::byte{1};
  auto inner = seal::inner_sender(outer, info, caller.psk.reveal(), caller.id).value();
  auto wire = seal::encode_request_header(server.binding.key_id, seal::kSealedSuite);
  wire.insert(wire.end(), outer.enc().begin(), outer.enc().end());
  seal::FrameSealer first{std::move(outer)};
  (void)first.seal(plain, false, wire);
  Bytes frame(1024);
  if (recipe.bad_frame_byte > 0) frame[recipe.bad_frame_byte] ^= std::byte{1};
  seal::FrameSealer rest{std::move(inner)};
  (void)rest.seal(frame, true, wire);
  return wire;
}

struct Way {
  std::string_view name;
  std::vector<std::string> messages;
  std::vector<double> times_us;
};

Way way(std::string_view name, const std::function<Bytes()>& make) {
  Way way{name, {}, {}};
  for (std::size_t i = 0; i < kMessages; ++i) way.messages.emplace_back(as_text(make()));
  return way;
}

Bytes flipped(Bytes wire, std::size_t at) {
  wire[at] ^= std::byte{1};
  return wire;
}

std::vector<Way> ways_to_be_refused(Front& front) {
  const auto now = front.clock().wall();
  const Recipe good{front.key(), now};
  const std::string stranger = "tk-" + std::string(43, 'A');
  constexpr std::size_t in_prelude = adversary::kRequestHead + 2 + 100;
  constexpr std::size_t prelude_padding = seal::kPreludeBytes - 1;
  std::vector<Way> ways;
  ways.push_back(way("bad tag", [&] { return flipped(cooked(front, good), in_prelude); }));
  ways.push_back(way("bad tag again", [&] { return flipped(cooked(front, good), in_prelude); }));
  ways.push_back(way("unknown key", [&] { return flipped(cooked(front, good), 0); }));
  ways.push_back(way("other suite", [&] { return flipped(cooked(front, good), 6); }));
  ways.push_back(way("bad ML-KEM ciphertext", [&] { return flipped(cooked(front, good), 500); }));
  ways.push_back(way("bad X25519 share", [&] { return flipped(cooked(front, good), 1110); }));
  ways.push_back(way("X25519 share of low order", [&] {
    auto wire = cooked(front, good);
    std::fill_n(wire.begin() + 7 + 1088, 32, std::byte{0});
    return wire;
  }));
  ways.push_back(way("bad padding of prelude",
                     [&] { return cooked(front, {front.key(), now, prelude_padding, 0}); }));
  ways.push_back(way("version of prelude", [&] {
    auto recipe = good;
    recipe.bad_prelude_byte = 1;  // frame_bits 8
    return flipped(cooked(front, recipe), 0);
  }));
  ways.push_back(way("unknown caller", [&] { return cooked(front, {stranger, now, 0, 0}); }));
  ways.push_back(way("bad tag of first frame", [&] {
    auto wire = cooked(front, good);
    return flipped(wire, wire.size() - 1);
  }));
  ways.push_back(way("bad padding of first frame",
                     [&] { return cooked(front, {front.key(), now, 0, 1023}); }));
  ways.push_back(
      way("too late", [&] { return cooked(front, {front.key(), now - Seconds{600}, 0, 0}); }));
  ways.push_back(way("seen before", [&] {
    auto wire = cooked(front, good);
    (void)front.post(std::string{as_text(wire)});
    return wire;
  }));
  return ways;
}

struct Moments {
  double mean = 0;
  double variance = 0;
  double count = 0;
};

// Of the samples under `crop`.
Moments moments(const std::vector<double>& samples, double crop) {
  Moments m;
  double squares = 0;
  for (const auto x : samples) {
    if (x >= crop) continue;
    m.count += 1;
    const auto delta = x - m.mean;
    m.mean += delta / m.count;
    squares += delta * (x - m.mean);
  }
  m.variance = squares / (m.count - 1);
  return m;
}

double welch_t(const Moments& a, const Moments& b) {
  return (a.mean - b.mean) / std::sqrt(a.variance / a.count + b.variance / b.count);
}

double quantile(std::vector<double> samples, double q) {
  const auto at =
      samples.begin() + static_cast<std::ptrdiff_t>(q * static_cast<double>(samples.size() - 1));
  std::nth_element(samples.begin(), at, samples.end());
  return *at;
}

}  // namespace

int main(int argc, char** argv) {
  const auto samples = argc > 1 ? parse_u64(argv[1]).value_or(5000) : 5000;
  Front front;
  auto ways = ways_to_be_refused(front);
  const auto refused = front.post("nothing");
  Dice dice{1};
  std::vector<std::size_t> order(ways.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  for (std::uint64_t round = 0; round < samples; ++round) {
    std::ranges::shuffle(order, dice);
    for (const auto i : order) {
      auto message = ways[i].messages[adversary::below(dice, kMessages)];
      const auto begun = std::chrono::steady_clock::now();
      const auto seen = front.post(std::move(message));
      const std::chrono::duration<double, std::micro> took =
          std::chrono::steady_clock::now() - begun;
      ways[i].times_us.push_back(took.count());
      if (seen != refused) fmt::print("{} is answered otherwise: {}\n", ways[i].name, seen.status);
    }
  }
  std::vector<double> all;
  for (const auto& way : ways) all.insert(all.end(), way.times_us.begin(), way.times_us.end());
  const auto crop = quantile(all, 0.9);
  const auto reference = moments(ways[0].times_us, crop);
  fmt::print("{} samples of each, the slowest tenth cropped, in microseconds\n", samples);
  fmt::print("{:<28} {:>8} {:>8} {:>8} {:>8}\n", "refused because of", "p50", "mean", "diff", "t");
  for (const auto& way : ways) {
    const auto m = moments(way.times_us, crop);
    fmt::print("{:<28} {:>8.2f} {:>8.2f} {:>8.2f} {:>8.2f}\n", way.name,
               quantile(way.times_us, 0.5), m.mean, m.mean - reference.mean, welch_t(m, reference));
  }
  return 0;
}
