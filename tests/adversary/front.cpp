#include "front.hpp"

#include <cstdlib>
#include <filesystem>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_future.hpp>

#include "gateway/testing/fake_exchange.hpp"
#include "seal/bhttp.hpp"

namespace tacit::adversary {

// Answers like a server: what it has read, or that it could not read it.
class Front::Inner final : public http::Handler {
 public:
  Task<> serve(http::Exchange& exchange) override {
    const auto body = co_await http::read_body(exchange, 1 << 20);
    num_accepted += body ? 1 : 0;
    const std::string_view text = body ? "well" : "the request's body did not come";
    (void)co_await exchange.respond({body ? 200 : 400, {}}, as_bytes(text));
  }
  std::size_t num_accepted = 0;
};

Front::Front() {
  std::string name = (std::filesystem::temp_directory_path() / "tacit-adversary-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) std::abort();
  folder_ = name;
  keys_ = std::move(*gateway::KeyStore::open(std::filesystem::path{folder_} / "state.db", clock_));
  key_ = std::string{keys_->create("adversary")->key.reveal()};
  service_ = std::move(*gateway::SealedService::open(
      {.identity_file = std::filesystem::path{folder_} / "identity.key",
       .key_life = Seconds{600},
       .software = "test",
       .replay = {}},
      clock_, log_));
  inner_ = std::make_unique<Inner>();
  front_ = std::make_unique<gateway::SealedFront>(*inner_, *service_, keys_.get(),
                                                  gateway::SealedFrontOptions{});
  const auto evidence = seal::open_evidence(service_->evidence({}), {}).value();
  server_ = seal::server_key(evidence.statement.sealed, evidence.statement_digest).value();
}

Front::~Front() {
  front_.reset();
  keys_.reset();
  std::filesystem::remove_all(folder_);
}

std::size_t Front::num_accepted() const noexcept { return inner_->num_accepted; }

Bytes Front::sealed(std::string_view key, std::string_view method, std::string_view body) {
  const auto caller =
      key.empty() ? seal::anonymous_caller() : seal::caller_key(crypto::sha256(as_bytes(key)));
  auto request = seal::SealedRequest::begin(seal::RequestDraft::make(*server_).value(), caller, {},
                                            clock_.wall())
                     .value();
  auto message = seal::bhttp_head({std::string{method}, "https", "ai.example", "/v1/x", {}});
  Bytes wire{request.head().begin(), request.head().end()};
  (void)request.write(message, wire);
  (void)request.flush(wire);  // several frames, so that there is something to exchange
  for (std::size_t at = 0; at < body.size(); at += 700) {
    Bytes piece;
    seal::put_bhttp_content(piece, as_bytes(body.substr(at, 700)));
    (void)request.write(piece, wire);
    (void)request.flush(wire);
  }
  Bytes end;
  seal::put_bhttp_end(end);
  (void)request.write(end, wire);
  (void)request.finish(wire);
  return wire;
}

Seen Front::post(std::string wire) {
  http::RequestHead head{"POST", std::string{seal::kSealedPath}, {}};
  head.headers.add("content-type", std::string{seal::kRequestMediaType});
  gateway::testing::FakeExchange exchange{std::move(head), std::move(wire)};
  auto done = boost::asio::co_spawn(io_, front_->serve(exchange), boost::asio::use_future);
  io_.restart();
  io_.run();
  done.get();
  return {exchange.status(), exchange.header("content-type"), exchange.header("cache-control"),
          exchange.body()};
}

}  // namespace tacit::adversary
