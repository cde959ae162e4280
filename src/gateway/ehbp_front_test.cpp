// EHBP through the front, over a fake exchange.
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include "core/text.hpp"
#include "gateway/sealed_front.hpp"
#include "gateway/testing/fake_exchange.hpp"
#include "seal/testing/ehbp_client.hpp"

namespace tacit::gateway {
namespace {

using testing::FakeExchange;
using Client = seal::testing::EhbpExchange;

// Says what was asked.
class Inner final : public http::Handler {
 public:
  Task<> serve(http::Exchange& exchange) override {
    ++served;
    const auto body = co_await http::read_body(exchange, 1 << 20);
    said = exchange.request().target + ' ' +
           (body ? std::string{body->reveal()} : body.error().message());
    sealed_field = exchange.request().headers.contains(seal::kEhbpKeyField);
    http::ResponseHead head{404, {}};
    head.headers.add("content-length", "8");
    (void)co_await exchange.respond(std::move(head), as_bytes("not here"));
  }
  int served = 0;
  std::string said;
  bool sealed_field = false;
};

class EhbpFrontTest : public ::testing::Test {
 protected:
  EhbpFrontTest() { make(true); }
  void make(bool ehbp) {
    front_.reset();
    service_ = std::make_unique<SealedService>(SealedOptions{.identity_file = {},
                                                             .key_life = Seconds{600},
                                                             .software = "test",
                                                             .replay = {},
                                                             .ehbp = ehbp},
                                               seal::Identity::generate(), clock_, log_);
    front_ = std::make_unique<SealedFront>(inner_, *service_, nullptr,
                                           SealedFrontOptions{.sealed_only = true});
  }
  FakeExchange ask(http::RequestHead head, std::string_view body = {}) {
    FakeExchange exchange{std::move(head), std::string{body}};
    asio::io_context io{1};
    auto done = asio::co_spawn(io, front_->serve(exchange), asio::use_future);
    io.run();
    done.get();
    return exchange;
  }
  Client client() {
    const auto published = ask({"GET", "/.well-known/hpke-keys", {}});
    EXPECT_EQ(published.header("content-type"), "application/ohttp-keys");
    return Client::begin(as_bytes(published.body())).value();
  }
  FakeExchange post(const Client& client, const Bytes& body) {
    http::RequestHead head{"POST", "/v1/ask", {}};
    head.headers.add("Ehbp-Encapsulated-Key", to_hex(client.enc()));
    return ask(std::move(head), as_text(body));
  }

  ManualClock clock_;
  NullLogger log_;
  Inner inner_;
  std::unique_ptr<SealedService> service_;
  std::unique_ptr<SealedFront> front_;
};

TEST_F(EhbpFrontTest, BodiesAreSealedBothWays) {
  auto one = client();
  const auto outer = post(one, one.frame(as_bytes("question")).value());
  EXPECT_EQ(inner_.said, "/v1/ask question");
  EXPECT_FALSE(inner_.sealed_field);
  EXPECT_EQ(outer.status(), 404);
  EXPECT_EQ(outer.header("content-length"), "");
  const auto nonce = from_hex(outer.header("ehbp-response-nonce")).value();
  EXPECT_EQ(as_text(one.open(nonce, as_bytes(outer.body())).value()), "not here");
}

TEST_F(EhbpFrontTest, WhatDoesNotOpenIsRefusedInTheSameWords) {
  auto one = client();
  const auto good = one.frame(as_bytes("question")).value();
  EXPECT_EQ(post(one, good).status(), 404);
  const auto refusal = post(one, good);  // once more
  EXPECT_EQ(refusal.status(), 422);
  auto flipped = good;
  flipped.back() ^= std::byte{1};
  for (const auto& bad : {flipped, Bytes{}, Bytes(4), Bytes{good.begin(), good.begin() + 9}}) {
    auto other = client();
    EXPECT_EQ(post(other, bad).status(), 422);
    EXPECT_EQ(post(other, bad).body(), refusal.body());
  }
  EXPECT_EQ(inner_.served, 1);
}

TEST_F(EhbpFrontTest, DamageBehindTheFirstFrameIsNoBody) {
  auto one = client();
  auto body = one.frame(as_bytes("question")).value();
  auto more = one.frame(as_bytes("and more")).value();
  more.back() ^= std::byte{1};
  body.insert(body.end(), more.begin(), more.end());
  EXPECT_EQ(post(one, body).status(), 404);
  EXPECT_EQ(inner_.said.find("question"), std::string::npos);
}

TEST_F(EhbpFrontTest, PlainRequestsStayRefusedWhereOnlySealedOnesAreServed) {
  EXPECT_EQ(ask({"POST", "/v1/ask", {}}, "question").status(), 403);
  http::RequestHead head{"POST", "/v1/ask", {}};
  head.headers.add("Ehbp-Encapsulated-Key", "00");
  EXPECT_EQ(ask(std::move(head), "question").status(), 400);
  EXPECT_EQ(inner_.served, 0);
}

TEST_F(EhbpFrontTest, IsOffUnlessAskedFor) {
  auto one = client();
  make(false);
  EXPECT_EQ(post(one, one.frame(as_bytes("question")).value()).status(), 403);
  EXPECT_EQ(ask({"GET", "/.well-known/hpke-keys", {}}).status(), 403);
}

}  // namespace
}  // namespace tacit::gateway
