#include "world.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace tacit::adversary {
namespace {

constexpr std::size_t kIdBytes = 8;

// Each text begins with the number of its request.
int number_in(std::string_view text) {
  int number = -1;
  if (text.size() < kIdBytes) return -1;
  std::from_chars(text.data(), text.data() + kIdBytes, number, 16);
  return number;
}

// Data into a writer, in pieces, with or without a push in between.
template <class Writer>
void write_in_pieces(Writer& writer, std::string_view text, Dice& dice, Bytes& out) {
  // The first piece holds the number.
  auto piece = text.substr(0, kIdBytes + below(dice, 1 + text.size()));
  while (!text.empty()) {
    if (!writer.write(as_bytes(piece), out)) return;
    text.remove_prefix(piece.size());
    if (chance(dice, 40) && !writer.flush_piece(out)) return;
    piece = text.substr(0, 1 + below(dice, 1 + text.size()));
  }
  static_cast<void>(writer.finish(out));
}

struct RequestWriter {
  seal::SealedRequest& request;
  Result<void> write(BytesView data, Bytes& out) { return request.write(data, out); }
  Result<void> flush_piece(Bytes& out) { return request.flush(out); }
  Result<void> finish(Bytes& out) { return request.finish(out); }
};
struct AnswerWriter {
  seal::SealedAnswer& answer;
  Dice& dice;
  Result<void> write(BytesView data, Bytes& out) { return answer.write(data, out); }
  Result<void> flush_piece(Bytes& out) { return answer.flush(chance(dice, 30), out); }
  Result<void> finish(Bytes& out) { return answer.finish(out); }
};

}  // namespace

std::string api_key(int caller) {
  return caller == 0 ? std::string{} : "tk-caller-" + std::to_string(caller);
}

seal::CallerKey caller_key_of(int caller) {
  const auto key = api_key(caller);
  return key.empty() ? seal::anonymous_caller() : seal::caller_key(crypto::sha256(as_bytes(key)));
}

std::optional<Callers::Caller> Callers::find(const seal::PskId& id) {
  last = -1;
  for (int i = 0; i < kCallers; ++i) {
    auto key = caller_key_of(i);
    if (key.id != id) continue;
    last = i;
    return Caller{std::move(key.psk), i == 0};
  }
  return std::nullopt;
}

// --- server -----------------------------------------------------------------------------------

Server::Server(const seal::Identity& who, const Clock& time, std::string_view process_name)
    : identity{who}, clock{time}, name{process_name} {
  start();
}

void Server::start() {
  ++life;
  keys = std::make_unique<seal::KeyRing>();
  replays = std::make_unique<seal::ReplayCache>(seal::ReplayOptions{kWindow, 1 << 16});
  rotate();
}

void Server::rotate() {
  const auto now = clock.wall();
  auto draft = keys->draft();
  const seal::Statement said{.attester = seal::Attester::none,
                             .issued_at = now,
                             .not_before = now,
                             .not_after = now + kKeyLife,
                             .identity = identity.public_key(),
                             .sealed = draft.config,
                             .ohttp = {},
                             .software = "model"};
  statement = seal::encode_statement(said);
  const seal::Binding binding{draft.config.key_id,
                              crypto::sha256(seal::encode_key_config(draft.config)),
                              crypto::sha256(statement)};
  keys->add({std::move(draft.key), std::move(draft.config), binding, now, said.not_after}, now);
  rotates_at = now + kKeyLife / 2;
}

// --- world ------------------------------------------------------------------------------------

World::World(Cast& cast, Dice& given) : dice{given} {
  clock.advance(Milliseconds{below(dice, 1'000'000)});
  servers.emplace_back(cast.server, clock, "server");
  servers.emplace_back(cast.server, clock, "second process");
  servers.emplace_back(cast.stranger, clock, "stranger");
  const auto n = 1 + below(dice, 3);
  for (std::size_t i = 0; i < n; ++i) {
    Client client;
    client.caller = static_cast<int>(below(dice, kCallers));
    client.trusted = cast.server.public_key().fingerprint();
    client.skew = Seconds{static_cast<std::int64_t>(below(dice, 4000)) - 2000};
    clients.push_back(std::move(client));
  }
}

void World::must(bool holds, std::string_view what) {
  if (!holds) violations_.emplace_back(what);
}

// What connect::Client::appraise() does, without the network.
bool World::take_evidence(Client& client, BytesView document, const seal::EvidenceNonce& nonce) {
  const auto evidence = seal::open_evidence(document, nonce);
  if (!evidence) return false;
  const auto& said = evidence->statement;
  if (evidence->now < said.not_before || evidence->now >= said.not_after) return false;
  if (said.identity.fingerprint() != client.trusted) return false;
  auto key = seal::server_key(said.sealed, evidence->statement_digest);
  if (!key) return false;
  const auto own = clock.wall() + std::chrono::duration_cast<WallTime::duration>(client.skew);
  client.key = std::move(*key);
  client.offset = evidence->now - own;
  client.key_not_after = said.not_after - (evidence->now - own);
  client.server_not_after = said.not_after;
  client.source = nullptr;
  for (auto& server : servers) {
    if (crypto::sha256(server.statement) == evidence->statement_digest) {
      client.source = &server;
      client.source_life = server.life;
    }
  }
  return true;
}

std::optional<int> World::attempt(int r) {
  auto& request = requests[static_cast<std::size_t>(r)];
  auto& client = clients[static_cast<std::size_t>(request.client)];
  const auto own = clock.wall() + std::chrono::duration_cast<WallTime::duration>(client.skew);
  if (!client.key || own >= client.key_not_after) return std::nullopt;
  if (!request.freshness) {
    const auto now = own + std::chrono::duration_cast<WallTime::duration>(client.offset);
    request.freshness = seal::Freshness::at(std::chrono::floor<Milliseconds>(now));
  }
  auto draft = seal::RequestDraft::make(*client.key);
  auto sealed = seal::SealedRequest::begin(std::move(*draft), caller_key_of(client.caller),
                                           request.shape, *request.freshness);
  Bytes wire{sealed->head().begin(), sealed->head().end()};
  RequestWriter writer{*sealed};
  write_in_pieces(writer, request.text, dice, wire);
  Attempt attempt;
  attempt.request = r;
  attempt.server = client.source;
  attempt.life = client.source_life;
  attempt.key_not_after = client.server_not_after;
  attempt.statement = client.key->binding.statement_digest;
  attempt.reply.emplace(sealed->reply());
  attempts.push_back(std::move(attempt));
  ++request.attempts;
  recorded_up.push_back(std::move(wire));
  return static_cast<int>(attempts.size()) - 1;
}

Connection& World::connect(Server& server, int attempt, Bytes up) {
  auto& connection = connections.emplace_back();
  connection.server = &server;
  connection.life = server.life;
  connection.attempt = attempt;
  connection.up = std::move(up);
  connection.opener.emplace(
      seal::SealedOpener::Parts{*server.keys, server.callers, *server.replays, clock});
  return connection;
}

void World::restart(Server& server) {
  for (auto& connection : connections) {
    if (connection.server != &server || connection.life != server.life) continue;
    connection.opener.reset();
    connection.lost = true;
    connection.server_done = true;
  }
  server.start();
}

// recorded_up[i] is what attempt i was sealed as.
bool World::same_as_sealed(const Connection& connection) const {
  for (std::size_t i = 0; i < attempts.size(); ++i) {
    if (attempts[i].request == connection.admitted && recorded_up[i] == connection.up) return true;
  }
  return false;
}

void World::admit(Connection& connection) {
  const int number = number_in(connection.opened);
  const bool known = number >= 0 && number < static_cast<int>(requests.size());
  must(known, "the server opened what nobody sealed");
  if (!known) return;
  connection.admitted = number;
  auto& request = requests[static_cast<std::size_t>(number)];
  const auto& client = clients[static_cast<std::size_t>(request.client)];
  const auto& server = *connection.server;
  must(!request.misled, "a request under a swapped key configuration or statement was accepted");
  must(server.callers.last == client.caller, "a request was accepted as somebody else's");
  bool for_here = false;
  for (const auto& attempt : attempts) {
    for_here |= attempt.request == number && attempt.server == &server &&
                attempt.life == connection.life && clock.wall() <= attempt.key_not_after;
  }
  must(for_here,
       "a request was accepted by a server, a process or a key for which it was not sealed");
  const auto age = clock.wall() - request.freshness->made;
  must(age <= kWindow && age >= -kWindow, "a request was accepted outside its time");
  if (client.caller != 0) {
    const std::pair<const Server*, int> here{&server, connection.life};
    must(std::ranges::find(request.ran_at, here) == request.ran_at.end(),
         "a request was accepted twice");
    request.ran_at.push_back(here);
  }
  ++request.runs;
}

void World::answer(Connection& connection, std::string text) {
  connection.server_done = true;
  auto answer = connection.opener->answer();
  must(answer.has_value(), "the server could not answer a request that it accepted");
  if (!answer) return;
  connection.answer_text = std::move(text);
  connection.answer.assign(answer->head().begin(), answer->head().end());
  AnswerWriter writer{*answer, dice};
  write_in_pieces(writer, connection.answer_text, dice, connection.answer);
  recorded_down.push_back(connection.answer);
}

void World::serve(Connection& connection) {
  auto& opener = *connection.opener;
  for (;;) {
    const auto data = opener.next();
    if (!data && !opener.authenticated()) {
      must(data.error().message() == seal::refused().message(), "a refusal tells why");
      connection.server_done = connection.refused = true;
      return;
    }
    if (!data) return answer(connection, fmt::format("{:08x} damaged", connection.admitted));
    if (!*data) break;
    connection.opened += as_text(**data);
    if (connection.admitted < 0) admit(connection);
    if (connection.admitted < 0) {
      connection.server_done = true;
      return;
    }
    const auto& text = requests[static_cast<std::size_t>(connection.admitted)].text;
    must(text.starts_with(connection.opened), "the server read other data than the client wrote");
  }
  if (!opener.finished()) return;
  const auto& request = requests[static_cast<std::size_t>(connection.admitted)];
  must(connection.opened == request.text, "the server took a part for the whole");
  must(same_as_sealed(connection), "the server accepted a message that was altered");
  answer(connection,
         fmt::format("{:08x} answer ", connection.admitted) + std::string(below(dice, 3000), 'a'));
}

void World::deliver_up(Connection& connection, std::size_t n) {
  if (connection.server_done || connection.lost) return;
  n = std::min(n, connection.up.size() - connection.up_sent);
  connection.opener->feed(BytesView{connection.up}.subspan(connection.up_sent, n));
  connection.up_sent += n;
  if (connection.up_sent == connection.up.size()) connection.opener->end();
  serve(connection);
}

void World::deliver_down(Connection& connection, std::size_t n) {
  auto& attempt = attempts[static_cast<std::size_t>(connection.attempt)];
  if (attempt.over) return;
  auto& request = requests[static_cast<std::size_t>(attempt.request)];
  n = std::min(n, connection.down.size() - connection.down_sent);
  attempt.reply->feed(BytesView{connection.down}.subspan(connection.down_sent, n));
  connection.down_sent += n;
  if (connection.down_sent == connection.down.size()) attempt.reply->end();
  for (;;) {
    const auto data = attempt.reply->next();
    if (!data) {
      attempt.over = true;
      request.state = Request::State::failed;
      return;
    }
    if (!*data) break;
    attempt.opened += as_text(**data);
    must(connection.answer_text.starts_with(attempt.opened) &&
             connection.admitted == attempt.request,
         "the client read other data than the server wrote to it");
  }
  if (!attempt.reply->finished()) return;
  attempt.over = true;
  must(attempt.opened == connection.answer_text, "the client took a part for the whole");
  must(connection.down == connection.answer, "the client accepted a message that was altered");
  const bool answered = attempt.opened.find(" answer ") != std::string::npos;
  request.state = answered ? Request::State::done : Request::State::failed;
}

bool World::hear_refusal(Connection& connection, const crypto::Sha256Digest& statement_now) {
  auto& attempt = attempts[static_cast<std::size_t>(connection.attempt)];
  if (attempt.over) return false;
  attempt.over = true;
  auto& request = requests[static_cast<std::size_t>(attempt.request)];
  const bool again = statement_now != attempt.statement && request.attempts < kAttemptsMax;
  if (!again) request.state = Request::State::failed;
  return again;
}

bool World::hear_loss(Connection& connection) {
  auto& attempt = attempts[static_cast<std::size_t>(connection.attempt)];
  // Once something of an answer was read, the request has begun.
  if (attempt.over) return false;
  attempt.over = true;
  auto& request = requests[static_cast<std::size_t>(attempt.request)];
  const bool again =
      attempt.opened.empty() && connection.down_sent == 0 && request.attempts < kAttemptsMax;
  if (!again) request.state = Request::State::failed;
  return again;
}

}  // namespace tacit::adversary
