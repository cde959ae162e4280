#include "schedule.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "crypto/random.hpp"

namespace tacit::adversary {
namespace {

constexpr int kStepsMax = 300;

class Schedule {
 public:
  Schedule(Cast& cast, std::uint64_t seed) : cast_{cast}, dice_{seed}, world_{cast, dice_} {
    constexpr Mood moods[] = {Mood::calm, Mood::rough, Mood::hostile, Mood::hostile};
    mood_ = moods[below(dice_, 4)];
    to_begin_ = 1 + static_cast<int>(below(dice_, 3));
  }

  Outcome run() {
    for (auto& client : world_.clients) {
      if (chance(dice_, 70)) appraise(client, any_own_server());
    }
    pass_time(Seconds{below(dice_, 650)});  // keys grow old before anybody asks
    for (int step = 0; step < kStepsMax && (to_begin_ > 0 || busy()); ++step) advance();
    settle();
    judge();
    return {mood_, world_.violations(), world_.requests.size(), num_done_, num_attacks_};
  }

 private:
  bool hostile() const { return mood_ == Mood::hostile; }
  Server& any_own_server() { return world_.servers[chance(dice_, 80) ? 0 : 1]; }
  Request& request_of(int attempt) {
    return world_.requests[static_cast<std::size_t>(
        world_.attempts[static_cast<std::size_t>(attempt)].request)];
  }
  bool waits(const Connection& connection) const {
    return connection.attempt >= 0 &&
           !world_.attempts[static_cast<std::size_t>(connection.attempt)].over;
  }
  bool busy() const {
    return std::ranges::any_of(world_.connections, [this](const auto& c) {
      return waits(c) || (!c.server_done && !c.lost);
    });
  }

  void pass_time(Nanoseconds by) {
    world_.clock.advance(by);
    for (auto& server : world_.servers) server.rotate_if_due();
  }

  void advance() {
    const auto roll = below(dice_, 100);
    if (roll < 12 && to_begin_ > 0) {
      begin();
    } else if (roll < 18) {
      pass_time(Milliseconds{below(dice_, 1500)});
    } else if (roll < 21 && mood_ != Mood::calm) {
      lose_a_connection();
    } else if (roll < 22 && mood_ != Mood::calm) {
      restart();
    } else if (roll < 38 && hostile()) {
      attack();
    } else if (!world_.connections.empty()) {
      move(world_.connections[below(dice_, world_.connections.size())]);
    }
  }

  // --- what honest ends do ----------------------------------------------------------------

  bool appraise(Client& client, Server& server) {
    seal::EvidenceNonce nonce{};
    crypto::random_bytes(nonce);
    if (hostile() && chance(dice_, 40)) mislead(client, server, nonce);
    const bool believed = world_.take_evidence(client, server.evidence(nonce), nonce);
    world_.must(believed, "a client did not believe its server's evidence");
    return believed;
  }

  void begin() {
    --to_begin_;
    Request request;
    request.client = static_cast<int>(below(dice_, world_.clients.size()));
    constexpr std::size_t sizes[] = {1, 900, 900, 3000, 3000, 9000, 9000, 70'000};
    request.text = fmt::format("{:08x} asks ", world_.requests.size()) +
                   std::string(below(dice_, sizes[below(dice_, std::size(sizes))]), 'q');
    request.shape.frame_bits = static_cast<std::uint8_t>(8 + below(dice_, 4));
    world_.requests.push_back(std::move(request));
    const auto number = static_cast<int>(world_.requests.size()) - 1;
    if (hostile() && chance(dice_, 8) && swap_configuration(number)) return;
    send(number);
  }

  void send(int number) {
    auto& request = world_.requests[static_cast<std::size_t>(number)];
    auto& client = world_.clients[static_cast<std::size_t>(request.client)];
    auto attempt = world_.attempt(number);
    if (!attempt) {
      appraise(client, any_own_server());
      attempt = world_.attempt(number);
    }
    if (!attempt) return;
    auto* server = world_.attempts[static_cast<std::size_t>(*attempt)].server;
    auto wire = world_.recorded_up.back();
    if (hostile() && chance(dice_, 35)) wire = tampered(wire, kRequestHead);
    world_.connect(server == nullptr ? world_.servers[0] : *server, *attempt, std::move(wire));
  }

  void again(int number) {
    auto& request = world_.requests[static_cast<std::size_t>(number)];
    request.state = Request::State::waiting;
    send(number);
  }

  // Some bytes more, one way or the other.
  void move(Connection& connection) {
    const auto n = chance(dice_, 50) ? below(dice_, 3000) : SIZE_MAX;
    if (!connection.server_done && !connection.lost) {
      note_lateness(connection);
      return world_.deliver_up(connection, n);
    }
    if (!waits(connection)) return;
    if (connection.lost) return hear_loss(connection);
    if (connection.refused) return hear_refusal(connection);
    if (!connection.down_known) {
      connection.down = connection.answer;
      if (hostile() && chance(dice_, 35)) {
        connection.down = tampered(connection.answer, kReplyHead);
      }
      connection.down_known = true;
    }
    world_.deliver_down(connection, n);
  }

  void note_lateness(Connection& connection) {
    if (connection.attempt < 0) return;
    auto& request = request_of(connection.attempt);
    const auto age = world_.clock.wall() - request.freshness->made;
    if (connection.admitted < 0 && (age > kWindow - Seconds{1})) request.hindered = true;
  }

  void hear_refusal(Connection& connection) {
    const auto number = world_.attempts[static_cast<std::size_t>(connection.attempt)].request;
    auto& client = world_.clients[static_cast<std::size_t>(request_of(connection.attempt).client)];
    // It may have used up its attempts on connections that broke.
    if (mood_ == Mood::rough && request_of(connection.attempt).attempts == kAttemptsMax) {
      request_of(connection.attempt).hindered = true;
    }
    auto* source = client.source == nullptr || hostile() ? &any_own_server() : client.source;
    appraise(client, *source);
    if (world_.hear_refusal(connection, client.key->binding.statement_digest)) again(number);
  }

  void hear_loss(Connection& connection) {
    auto& attempt = world_.attempts[static_cast<std::size_t>(connection.attempt)];
    auto& request = request_of(connection.attempt);
    // What may have begun may fail; what has not, must not.
    if (connection.admitted >= 0 || request.attempts == kAttemptsMax) request.hindered = true;
    const auto number = attempt.request;
    if (world_.hear_loss(connection)) again(number);
  }

  // --- what the network and the machines do -------------------------------------------------

  void lose_a_connection() {
    if (world_.connections.empty()) return;
    auto& connection = world_.connections[below(dice_, world_.connections.size())];
    if (!waits(connection)) return;
    connection.lost = true;
    hear_loss(connection);
  }

  void restart() {
    auto& server = world_.servers[below(dice_, world_.servers.size())];
    for (auto& connection : world_.connections) {
      if (connection.server != &server || !waits(connection) || connection.lost) continue;
      request_of(connection.attempt).hindered = true;
    }
    world_.restart(server);
  }

  // --- the adversary ------------------------------------------------------------------------

  std::vector<const Bytes*> recordings() {
    std::vector<const Bytes*> all;
    for (const auto& wire : world_.recorded_up) all.push_back(&wire);
    for (const auto& wire : world_.recorded_down) all.push_back(&wire);
    return all;
  }

  // `wire` altered. Whose message might now be used up, or not arrive, is hindered.
  Bytes tampered(const Bytes& wire, std::size_t head_bytes) {
    ++num_attacks_;
    auto result = altered(wire, head_bytes, recordings(), dice_);
    hinder_owners_of(wire);
    hinder_owners_of(result);
    return result;
  }

  void hinder_owners_of(const Bytes& wire) {
    const auto same_head = [&](const Bytes& other, std::size_t n) {
      return wire.size() >= n && other.size() >= n &&
             std::equal(wire.begin(), wire.begin() + static_cast<std::ptrdiff_t>(n), other.begin());
    };
    for (std::size_t i = 0; i < world_.recorded_up.size(); ++i) {
      if (same_head(world_.recorded_up[i], kRequestHead)) {
        request_of(static_cast<int>(i)).hindered = true;
      }
    }
    for (const auto& connection : world_.connections) {
      if (connection.admitted >= 0 && same_head(connection.answer, kReplyHead)) {
        world_.requests[static_cast<std::size_t>(connection.admitted)].hindered = true;
      }
    }
  }

  void attack() {
    ++num_attacks_;
    switch (below(dice_, 5)) {
      case 0:
      case 1: return replay();
      case 2: return refuse_in_its_name();
      case 3: return break_and_go_on();
      default: break;
    }
    // A long pause: messages are held back, keys expire.
    for (auto& request : world_.requests) request.hindered = true;
    pass_time(Seconds{below(dice_, 700)});
  }

  // A recorded message, as it was or altered, to any server.
  void replay() {
    const auto all = recordings();
    if (all.empty()) return;
    Bytes wire = *all[below(dice_, all.size())];
    if (chance(dice_, 50)) wire = altered(wire, kRequestHead, all, dice_);
    hinder_owners_of(wire);
    auto& server = world_.servers[below(dice_, world_.servers.size())];
    world_.connect(server, -1, std::move(wire));
  }

  // The server gets the message and runs it; the client is told that it was refused.
  void refuse_in_its_name() {
    if (world_.connections.empty()) return;
    auto& connection = world_.connections[below(dice_, world_.connections.size())];
    if (!waits(connection) || connection.down_sent > 0) return;
    request_of(connection.attempt).hindered = true;
    if (chance(dice_, 50)) pass_time(Seconds{below(dice_, 400)});
    hear_refusal(connection);
  }

  // The same with a connection that breaks for the client and goes on for the server.
  void break_and_go_on() {
    if (world_.connections.empty()) return;
    auto& connection = world_.connections[below(dice_, world_.connections.size())];
    if (!waits(connection)) return;
    request_of(connection.attempt).hindered = true;
    hear_loss(connection);
  }

  // As if the check of evidence had been passed by a trick: what is sealed under another binding
  // must still not open.
  bool swap_configuration(int number) {
    auto& request = world_.requests[static_cast<std::size_t>(number)];
    auto& client = world_.clients[static_cast<std::size_t>(request.client)];
    if (!client.key) return false;
    ++num_attacks_;
    request.misled = request.hindered = true;
    auto& binding = client.key->binding;
    switch (below(dice_, 3)) {
      case 0: binding.statement_digest[below(dice_, 32)] ^= std::byte{1}; break;
      case 1: binding.config_digest[below(dice_, 32)] ^= std::byte{1}; break;
      default: binding.key_id ^= static_cast<std::uint8_t>(1 + below(dice_, 255)); break;
    }
    client.source = nullptr;
    client.source_life = 0;
    for (auto& other : world_.requests) {
      if (other.client == request.client) other.hindered = true;
    }
    const auto attempt = world_.attempt(number);
    if (attempt) world_.connect(world_.servers[0], *attempt, world_.recorded_up.back());
    client.key.reset();
    request.attempts = kAttemptsMax;  // what is sent later would be sealed rightly
    return true;
  }

  // Evidence that is not the server's for this nonce, in the ways that somebody in between has.
  void mislead(Client& client, Server& server, const seal::EvidenceNonce& nonce) {
    ++num_attacks_;
    seal::EvidenceNonce old{};
    crypto::random_bytes(old);
    auto document = server.evidence(nonce);
    const auto genuine = document;
    auto statement = server.statement;
    switch (below(dice_, 8)) {
      case 0: document = server.evidence(old); break;  // recorded earlier
      case 1: document = world_.servers[2].evidence(nonce); break;
      case 2: document = cast_.adversary.sign(server.statement, nonce, world_.clock.wall()); break;
      case 3: document = cast_.adversary.sign(own_statement(), nonce, world_.clock.wall()); break;
      case 4: document = spliced(document, own_statement()); break;
      case 5:  // another version or attester, by the server's own hand: as an old server has it
        statement[below(dice_, 2)] ^= static_cast<std::byte>(1 + below(dice_, 255));
        document = server.identity.sign(statement, nonce, world_.clock.wall());
        break;
      case 6:  // a statement past its time
        document = server.identity.sign(statement, nonce, world_.clock.wall() + 2 * kKeyLife);
        break;
      default: document = altered(document, document.size(), {}, dice_); break;
    }
    if (document == genuine) return;
    world_.must(!world_.take_evidence(client, document, nonce), "false evidence was believed");
  }

  // What the adversary would say about itself.
  Bytes own_statement() {
    const auto said = seal::parse_statement(world_.servers[0].statement);
    auto mine = seal::parse_statement(world_.servers[2].statement);
    mine->issued_at = said->issued_at;
    mine->identity = cast_.adversary.public_key();
    return seal::encode_statement(*mine);
  }

  // The server's document with another statement of the same length in its place.
  static Bytes spliced(Bytes document, const Bytes& statement) {
    constexpr std::size_t before = 6;  // magic and length
    if (document.size() < before + statement.size()) return {};
    std::ranges::copy(statement, document.begin() + before);
    return document;
  }

  // --- the end ------------------------------------------------------------------------------

  // From here on the network is honest: whatever is under way arrives.
  void settle() {
    const bool was_hostile = hostile();
    if (was_hostile) mood_ = Mood::rough;
    for (int step = 0; step < kStepsMax && busy(); ++step) {
      for (std::size_t i = 0; i < world_.connections.size(); ++i) move(world_.connections[i]);
    }
    if (was_hostile) mood_ = Mood::hostile;
  }

  void judge() {
    for (const auto& request : world_.requests) {
      const bool done = request.state == Request::State::done;
      num_done_ += done ? 1 : 0;
      world_.must(request.hindered || done, "a request that nobody hindered did not succeed");
      world_.must(request.hindered || request.runs == 1, "a request ran more or less than once");
      world_.must(!done || request.runs >= 1, "an answer came to a request that never ran");
    }
    world_.must(!busy(), "something hangs");
  }

  Cast& cast_;
  Dice dice_;
  World world_;
  Mood mood_ = Mood::calm;
  int to_begin_ = 0;
  std::size_t num_attacks_ = 0;
  std::size_t num_done_ = 0;
};

}  // namespace

Outcome run_schedule(Cast& cast, std::uint64_t seed) { return Schedule{cast, seed}.run(); }

}  // namespace tacit::adversary
