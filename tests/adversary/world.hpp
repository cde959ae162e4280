// The model's world: servers and clients that speak the sealed channel with the product's own code,
// without sockets and in simulated time, and what must hold whatever happens between them.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/time.hpp"
#include "edits.hpp"
#include "seal/sealed_client.hpp"
#include "seal/sealed_server.hpp"
#include "seal/statement.hpp"

namespace tacit::adversary {

inline constexpr Seconds kKeyLife{600};
inline constexpr Seconds kWindow{60};
inline constexpr int kCallers = 3;  // 0 has no key: what it may ask for does no harm repeated
inline constexpr int kAttemptsMax = 4;

std::string api_key(int caller);

// Identities take long to make: they are made once for all schedules.
struct Cast {
  seal::Identity server = seal::Identity::generate();
  seal::Identity stranger = seal::Identity::generate();
  seal::Identity adversary = seal::Identity::generate();
};

class Callers final : public seal::CallerDirectory {
 public:
  std::optional<Caller> find(const seal::PskId& id) override;
  int last = -1;  // whom it found
};

// Server is a process: its keys and what it has seen are gone when it starts anew.
struct Server {
  Server(const seal::Identity& who, const Clock& time, std::string_view process_name);
  void start();
  void rotate();
  void rotate_if_due() {
    if (clock.wall() >= rotates_at) rotate();
  }
  Bytes evidence(const seal::EvidenceNonce& nonce) const {
    return identity.sign(statement, nonce, clock.wall());
  }

  const seal::Identity& identity;
  const Clock& clock;
  std::string name;
  int life = 0;
  std::unique_ptr<seal::KeyRing> keys;
  std::unique_ptr<seal::ReplayCache> replays;
  Callers callers;
  Bytes statement;
  WallTime rotates_at;
};

// Client knows one server by its identity and asks as one caller.
struct Client {
  int caller = 0;
  std::string trusted;  // fingerprint
  Nanoseconds skew{};   // its clock minus true time
  std::optional<seal::ServerKey> key;
  WallTime key_not_after;     // by its clock
  WallTime server_not_after;  // by the server's
  Nanoseconds offset{};       // the server's clock minus its own
  Server* source = nullptr;   // who made the evidence that it believed; the model's knowledge
  int source_life = 0;
};

struct Attempt {
  int request = 0;
  Server* server = nullptr;  // for whom it is sealed
  int life = 0;
  WallTime key_not_after;
  crypto::Sha256Digest statement{};
  std::optional<seal::SealedReply> reply;
  std::string opened;
  bool over = false;
};

// Request is what an application wants done once.
struct Request {
  int client = 0;
  std::string text;
  seal::ReplyShape shape;
  std::optional<seal::Freshness> freshness;
  int attempts = 0;
  int runs = 0;
  std::vector<std::pair<const Server*, int>> ran_at;
  bool misled = false;    // sealed for a key configuration or statement that was swapped
  bool hindered = false;  // somebody did something to it: it need not succeed
  enum class State : std::uint8_t { waiting, done, failed } state = State::waiting;
};

// Connection carries one message each way. What the server gets and what the client gets are what
// the network makes of what was sent.
struct Connection {
  Server* server = nullptr;
  int life = 0;
  int attempt = -1;  // who waits at its other end; -1: the adversary alone
  Bytes up;
  std::size_t up_sent = 0;
  std::optional<seal::SealedOpener> opener;
  std::string opened;
  int admitted = -1;  // the request that the server took it for
  bool server_done = false;
  bool refused = false;
  std::string answer_text;
  Bytes answer;  // as the server sent it
  Bytes down;    // as the client gets it
  std::size_t down_sent = 0;
  bool down_known = false;
  bool lost = false;
};

// World holds the state and the properties; schedule.hpp decides what happens.
class World {
 public:
  World(Cast& cast, Dice& dice);

  ManualClock clock;
  Dice& dice;
  std::deque<Server> servers;  // one that clients trust, a second process of it, a stranger's
  std::vector<Client> clients;
  std::deque<Request> requests;
  std::deque<Attempt> attempts;
  std::deque<Connection> connections;
  std::deque<Bytes> recorded_up;  // genuine messages that crossed the network
  std::deque<Bytes> recorded_down;
  int num_accepted_altered = 0;

  // Whether `client` believes `document`, asked with `nonce`; it takes the key then.
  bool take_evidence(Client& client, BytesView document, const seal::EvidenceNonce& nonce);
  // Seals request `r` and opens a connection for it. nullopt: the client has no key to use.
  std::optional<int> attempt(int r);
  // Gives the next `n` bytes to the server, or to the client; all of them, then the end.
  void deliver_up(Connection& connection, std::size_t n);
  void deliver_down(Connection& connection, std::size_t n);
  // The client hears of a refusal, or that the connection broke. Whether it may try again.
  bool hear_refusal(Connection& connection, const crypto::Sha256Digest& statement_now);
  bool hear_loss(Connection& connection);
  // Adds a connection to `server` that will carry `up`.
  Connection& connect(Server& server, int attempt, Bytes up);
  void restart(Server& server);

  // Notes that a property does not hold.
  void must(bool holds, std::string_view what);
  const std::vector<std::string>& violations() const { return violations_; }

 private:
  void admit(Connection& connection);
  void answer(Connection& connection, std::string text);
  void serve(Connection& connection);
  bool same_as_sealed(const Connection& connection) const;

  std::vector<std::string> violations_;
};

}  // namespace tacit::adversary
