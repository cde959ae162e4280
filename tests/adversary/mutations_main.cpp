// Recorded messages, altered: how many does the other end take, and what does an outsider learn
// from the answers?
//
//   tacit_adversary_mutations [--count N] [--seed S]
//
// Half are requests to a server's front, the rest replies to a client and evidence.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>

#include <fmt/format.h>

#include "core/text.hpp"
#include "edits.hpp"
#include "front.hpp"
#include "seal/sealed_server.hpp"

using namespace tacit;
using adversary::Dice;

namespace {

struct Tally {
  std::size_t mutations = 0;
  std::size_t unchanged = 0;  // the dice altered nothing
  std::size_t accepted = 0;
  std::set<std::string> answers;  // that differ in anything an outsider can see
};

std::string outside(const adversary::Seen& seen) {
  // Of a sealed answer the bytes are noise: its size is what can be seen.
  const bool sealed = seen.type == seal::kAnswerMediaType;
  return fmt::format("{} {} {} {}", seen.status, seen.type, seen.cache,
                     sealed ? fmt::format("{} bytes", seen.body.size()) : seen.body);
}

// --- requests -------------------------------------------------------------------------------

void mutate_requests(std::size_t n, Dice& dice, Tally& tally) {
  adversary::Front front;
  // Recorded from a client without a key: the server does not note such requests, so that every
  // refusal is for the alteration. One in eight is a caller's, sealed for the purpose.
  std::vector<Bytes> recorded;
  for (const std::size_t size : {0u, 10u, 2000u, 5000u, 70'000u}) {
    recorded.push_back(front.sealed("", "POST", std::string(size, 'b')));
    recorded.push_back(front.sealed("", "GET", {}));
  }
  std::vector<const Bytes*> others;
  for (const auto& wire : recorded) others.push_back(&wire);
  for (const auto& wire : recorded)
    tally.answers.insert(outside(front.post(std::string{as_text(wire)})));
  const auto accepted_before = front.num_accepted();
  while (tally.mutations < n) {
    Bytes own;
    if (tally.mutations % 8 == 0)
      own = front.sealed(front.key(), "POST", std::string(adversary::below(dice, 3000), 'c'));
    const auto& wire = own.empty() ? recorded[adversary::below(dice, recorded.size())] : own;
    const auto bad = adversary::altered(wire, adversary::kRequestHead, others, dice);
    if (bad == wire || std::ranges::find(recorded, bad) != recorded.end()) {
      ++tally.unchanged;
      continue;
    }
    ++tally.mutations;
    tally.answers.insert(outside(front.post(std::string{as_text(bad)})));
  }
  tally.accepted = front.num_accepted() - accepted_before;
}

// --- replies --------------------------------------------------------------------------------

class Anyone final : public seal::CallerDirectory {
 public:
  std::optional<Caller> find(const seal::PskId& id) override {
    auto anyone = seal::anonymous_caller();
    if (id != anyone.id) return std::nullopt;
    return Caller{std::move(anyone.psk), true};
  }
};

// A server without HTTP, and exchanges with it.
class Replier {
 public:
  Replier() {
    auto draft = ring_.draft();
    known_ = seal::server_key(draft.config, {}).value();
    const auto now = clock_.wall();
    ring_.add({std::move(draft.key), draft.config, known_->binding, now, now + Seconds{600}}, now);
  }
  struct Exchange {
    seal::SealedReply reply;
    Bytes wire;
  };
  Exchange exchange(std::size_t bytes) {
    auto request = seal::SealedRequest::begin(seal::RequestDraft::make(*known_).value(),
                                              seal::anonymous_caller(), {}, clock_.wall())
                       .value();
    Bytes up{request.head().begin(), request.head().end()};
    (void)request.write(as_bytes("ask"), up);
    (void)request.finish(up);
    seal::SealedOpener opener{{ring_, callers_, replays_, clock_}};
    opener.feed(up);
    opener.end();
    while (opener.next().value()) {}
    auto answer = opener.answer().value();
    Bytes down{answer.head().begin(), answer.head().end()};
    (void)answer.write(as_bytes(std::string(bytes, 'r')), down);
    (void)answer.finish(down);
    return {request.reply(), std::move(down)};
  }

 private:
  ManualClock clock_;
  seal::KeyRing ring_;
  Anyone callers_;
  seal::ReplayCache replays_;
  std::optional<seal::ServerKey> known_;
};

void mutate_replies(std::size_t n, Dice& dice, Tally& tally) {
  Replier server;
  std::vector<Bytes> recorded;
  for (const std::size_t size : {1u, 600u, 4000u}) recorded.push_back(server.exchange(size).wire);
  std::vector<const Bytes*> others;
  for (const auto& wire : recorded) others.push_back(&wire);
  while (tally.mutations < n) {
    auto [reply, wire] = server.exchange(adversary::below(dice, 3000));
    const auto bad = adversary::altered(wire, adversary::kReplyHead, others, dice);
    if (bad == wire) {
      ++tally.unchanged;
      continue;
    }
    ++tally.mutations;
    reply.feed(bad);
    reply.end();
    for (;;) {
      const auto data = reply.next();
      if (!data || !*data) break;
    }
    tally.accepted += reply.finished() ? 1 : 0;
  }
}

// --- evidence -------------------------------------------------------------------------------

void mutate_evidence(std::size_t n, Dice& dice, Tally& tally) {
  adversary::Front front;
  const seal::EvidenceNonce nonce{};
  const auto document = front.evidence(nonce);
  auto other_nonce = nonce;
  other_nonce[0] = std::byte{1};
  const auto other = front.evidence(other_nonce);
  while (tally.mutations < n) {
    const auto bad = adversary::altered(document, 0, {&other}, dice);
    if (bad == document) {
      ++tally.unchanged;
      continue;
    }
    ++tally.mutations;
    tally.accepted += seal::open_evidence(bad, nonce) ? 1 : 0;
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t count = 5000;
  std::uint64_t seed = 1;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string_view name{argv[i]};
    (name == "--seed" ? seed : count) = parse_u64(argv[i + 1]).value_or(0);
  }
  Dice dice{seed};
  std::map<std::string_view, Tally> tallies;
  mutate_requests(count / 2, dice, tallies["requests"]);
  mutate_replies(count * 3 / 10, dice, tallies["replies"]);
  mutate_evidence(count / 5, dice, tallies["evidence"]);
  fmt::print("{:<10} {:>10} {:>10} {:>10}\n", "message", "mutations", "unchanged", "accepted");
  std::size_t num_accepted = 0;
  for (const auto& [name, tally] : tallies) {
    fmt::print("{:<10} {:>10} {:>10} {:>10}\n", name, tally.mutations, tally.unchanged,
               tally.accepted);
    num_accepted += tally.accepted;
  }
  // Two: what every stranger is told, and what every sealed answer of that size looks like.
  const auto& answers = tallies["requests"].answers;
  fmt::print("answers that an outsider can tell apart: {}\n", answers.size());
  for (const auto& answer : answers) fmt::print("  {}\n", answer);
  return num_accepted == 0 && answers.size() == 2 ? EXIT_SUCCESS : EXIT_FAILURE;
}
