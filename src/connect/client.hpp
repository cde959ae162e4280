// A client of one sealed server: gets its evidence, decides, seals requests and opens answers.
// Nothing of a request leaves before the decision.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "async/wait.hpp"
#include "connect/evidence.hpp"
#include "connect/known_servers.hpp"
#include "core/log.hpp"
#include "core/secret.hpp"
#include "http/client.hpp"
#include "seal/bhttp.hpp"
#include "seal/sealed_client.hpp"
#include "seal/statement.hpp"

namespace tacit::connect {

struct ClientOptions {
  std::string url;  // "https://host[:port]", without a path
  // A relay that carries requests to `url`, so that the server does not learn where they come from;
  // empty: none. It is trusted with nothing: what it carries is sealed, and evidence is signed.
  std::string relay;
  // The identity that the server must have; empty: the one pinned in `known`, or, at first use, the
  // one it has.
  std::string trust;
  KnownServers* known = nullptr;  // null only with `trust`; outlives the client
  // What is asked of the server's hardware; nullopt: nothing, its identity is all that counts.
  std::optional<EvidenceRules> evidence;
  seal::ReplyShape shape;
  http::ClientOptions http;
};

// Proof is what is known about the server, for people.
struct Proof {
  std::string fingerprint;
  bool first_use = false;  // nothing was pinned: this identity was believed, and is pinned now
  seal::Attester attester = seal::Attester::none;
  std::string software;
  WallTime not_after;  // of the key, by the server's clock
  // What the hardware proved; nullopt when it was not asked, or there is none.
  std::optional<attest::Answer> hardware;
};

// SealedResponse is an answer whose head was opened. Destroying it before its end closes the
// connection.
class SealedResponse {
 public:
  SealedResponse(std::unique_ptr<http::Response> outer, seal::SealedReply reply);
  const http::ResponseHead& head() const noexcept { return head_; }
  // The next piece of the body, never empty but at the end; a view that dies with the next call.
  // Errors: corrupt, malformed (the answer was cut short or altered); as http::Response.
  Async<BytesView> read(Deadline deadline);

  // Reads up to and with the head; for Client.
  Async<void> open(Deadline deadline);

 private:
  Async<bool> more(Deadline deadline);
  std::unique_ptr<http::Response> outer_;
  seal::SealedReply reply_;
  seal::BhttpDecoder decoder_{seal::BhttpDecoder::Kind::response};
  http::ResponseHead head_;
  SecretText content_;
  bool given_ = false;  // content_ was read
  Bytes buffer_;
};

// Client belongs to one shard. Several sends may be in progress at once.
class Client {
 public:
  Client(ClientOptions options, const Clock& clock, Logger& log, asio::any_io_executor executor);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Gets fresh evidence and decides. Errors: forbidden (another identity than the one expected, or
  // evidence that is not accepted, with the rule: from then on nothing is sent under the key that
  // was good before), corrupt and malformed (evidence), unavailable, deadline_exceeded.
  Async<Proof> appraise(Deadline deadline);
  // Appraises again before the key is too old, until cancelled.
  Task<> keep_fresh();
  // Makes what requests will need while there is nothing else to do, until cancelled.
  Task<> keep_ready();

  // Seals a request under `api_key` (empty: none) and opens the head of the answer. Errors:
  // unauthenticated when the server does not accept it, most likely because of the key; those of
  // appraise(); as http::Client::send.
  Async<std::unique_ptr<SealedResponse>> send(const http::RequestHead& request, BytesView body,
                                              std::string_view api_key, Deadline deadline);

 private:
  struct Server {
    seal::ServerKey key;
    std::string fingerprint;
    Nanoseconds clock_offset;  // the server's wall clock minus ours
    WallTime fresh_until;      // by our clock; then another key is due
    WallTime not_after;        // by our clock; then this one opens nothing
  };
  // Where requests go: the relay, or the server itself.
  std::string endpoint(std::string_view path) const;
  Result<Proof> decide(const seal::Statement& statement) const;
  Async<Proof> appraise_now(Deadline deadline);
  Result<seal::RequestDraft> take_draft();
  WallTime server_time() const;
  Async<std::unique_ptr<SealedResponse>> try_send(const SecretText& message,
                                                  seal::Freshness freshness,
                                                  std::string_view api_key, Deadline deadline);

  ClientOptions options_;
  const Clock& clock_;
  Logger& log_;
  http::Client http_;
  std::optional<Server> server_;
  attest::SignatureMemory memory_;          // of the certificates behind its evidence
  std::vector<seal::RequestDraft> drafts_;  // all for server_'s present key
  async::Signal used_draft_;
};

}  // namespace tacit::connect
