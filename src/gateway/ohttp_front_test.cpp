// Oblivious HTTP through the front, over a fake exchange: who is served, as whom, and what
// everybody else is told.
#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include "gateway/sealed_front.hpp"
#include "gateway/testing/fake_exchange.hpp"
#include "seal/bhttp.hpp"
#include "seal/testing/ohttp_client.hpp"

namespace tacit::gateway {
namespace {

using seal::testing::OhttpExchange;
using seal::testing::OhttpForm;
using testing::FakeExchange;

// Says who came and what for, in two pieces.
class Inner final : public http::Handler {
 public:
  Task<> serve(http::Exchange& exchange) override {
    ++served;
    const auto body = co_await http::read_body(exchange, 1 << 20);
    said = exchange.request().target + ' ' +
           std::string{exchange.proven_caller().value_or("nobody")} + ' ' +
           (body ? std::string{body->reveal()} : body.error().message());
    (void)co_await exchange.start({404, {}});
    (void)co_await exchange.write(as_bytes("not "));
    (void)co_await exchange.write(as_bytes("here"));
    (void)co_await exchange.finish();
  }
  int served = 0;
  std::string said;
};

class OhttpFrontTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    keys_ = std::move(*KeyStore::open(folder_ / "state.db", clock_));
    auto created = keys_->create("test");
    id_ = created->record.id;
    key_ = created->key.reveal();
    make(true, keys_.get());
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void make(bool ohttp, KeyStore* keys, std::size_t nonces_max = 100) {
    front_.reset();
    service_ = std::make_unique<SealedService>(
        SealedOptions{.identity_file = {},
                      .key_life = Seconds{600},
                      .software = "test",
                      .replay = {.window = Seconds{60}, .nonces_max = nonces_max},
                      .ohttp = ohttp},
        seal::Identity::generate(), clock_, log_);
    front_ = std::make_unique<SealedFront>(inner_, *service_, keys, SealedFrontOptions{});
  }

  FakeExchange ask(std::string method, std::string target, std::string body = {},
                   std::string type = {}) {
    http::RequestHead head{std::move(method), std::move(target), {}};
    if (!type.empty()) head.headers.add("content-type", std::move(type));
    FakeExchange exchange{std::move(head), std::move(body)};
    asio::io_context io{1};
    auto done = asio::co_spawn(io, front_->serve(exchange), asio::use_future);
    io.run();
    done.get();
    return exchange;
  }
  FakeExchange post(OhttpForm form, const Bytes& wire) {
    return ask("POST", std::string{seal::kSealedPath}, std::string{as_text(wire)},
               form == OhttpForm::plain ? "message/ohttp-req" : "message/ohttp-chunked-req");
  }

  std::vector<seal::KeyConfig> configs() {
    const auto published = ask("GET", "/ohttp-configs");
    EXPECT_EQ(published.header("content-type"), "application/ohttp-keys");
    return seal::parse_key_configs(as_bytes(published.body())).value();
  }
  OhttpExchange exchange(OhttpForm form) {
    const auto config = configs().front();
    return OhttpExchange::begin(form, config, config.suites.front()).value();
  }
  static Bytes message(std::string_view key, std::string_view body) {
    seal::BhttpRequest request{"POST", "https", "ai.example", "/v1/ask", {}};
    if (!key.empty()) request.fields.emplace_back("authorization", "Bearer " + std::string{key});
    auto bytes = seal::bhttp_head(request);
    seal::put_bhttp_content(bytes, as_bytes(body));
    seal::put_bhttp_end(bytes);
    return bytes;
  }
  // Status and body inside.
  static std::string opened(const OhttpExchange& client, const FakeExchange& outer) {
    const auto answer = client.open(as_bytes(outer.body()));
    if (!answer) return answer.error().message();
    seal::BhttpDecoder decoder{seal::BhttpDecoder::Kind::response};
    SecretText content;
    EXPECT_TRUE(decoder.feed(*answer, content));
    EXPECT_TRUE(decoder.end());
    return std::to_string(decoder.response().status) + ' ' + std::string{content.reveal()};
  }

  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("tacit-ohttp-front-" + std::to_string(::getpid()));
  ManualClock clock_;
  NullLogger log_;
  std::unique_ptr<KeyStore> keys_;
  std::string id_;
  std::string key_;
  Inner inner_;
  std::unique_ptr<SealedService> service_;
  std::unique_ptr<SealedFront> front_;
};

constexpr OhttpForm kForms[] = {OhttpForm::plain, OhttpForm::chunked};

TEST_F(OhttpFrontTest, ServesTheCallerOfTheKeyInside) {
  for (const auto form : kForms) {
    auto client = exchange(form);
    const auto outer = post(form, client.request(message(key_, "question")).value());
    EXPECT_EQ(outer.status(), 200);
    EXPECT_EQ(outer.header("content-type"),
              form == OhttpForm::plain ? "message/ohttp-res" : "message/ohttp-chunked-res");
    EXPECT_EQ(inner_.said, "/v1/ask " + id_ + " question");
    EXPECT_EQ(opened(client, outer), "404 not here");
  }
}

TEST_F(OhttpFrontTest, AStrangerIsServedAsNobody) {
  for (const auto form : kForms) {
    auto client = exchange(form);
    const auto wire = client.request(message("tk-" + std::string(43, 'A'), "question")).value();
    // Nothing that is worth repeating, so that it need not be remembered.
    for (int i = 0; i < 3; ++i) EXPECT_EQ(post(form, wire).status(), 200);
    EXPECT_EQ(inner_.said, "/v1/ask nobody question");
  }
}

TEST_F(OhttpFrontTest, ARequestIsServedOnce) {
  for (const auto form : kForms) {
    const auto wire = exchange(form).request(message(key_, "question")).value();
    EXPECT_EQ(post(form, wire).status(), 200);
    clock_.advance(Seconds{500});  // as long as its key lives
    const auto before = inner_.served;
    const auto again = post(form, wire);
    EXPECT_EQ(again.status(), 400);
    EXPECT_EQ(inner_.served, before);
    service_->rotate();
  }
}

TEST_F(OhttpFrontTest, WithoutKeysEverythingIsServedOnce) {
  make(true, nullptr);
  const auto wire = exchange(OhttpForm::plain).request(message("", "question")).value();
  EXPECT_EQ(post(OhttpForm::plain, wire).status(), 200);
  EXPECT_EQ(inner_.said, "/v1/ask  question");
  EXPECT_EQ(post(OhttpForm::plain, wire).status(), 400);
}

TEST_F(OhttpFrontTest, WhatCannotBeRememberedIsNotServed) {
  make(true, keys_.get(), 1);
  const auto form = OhttpForm::plain;
  EXPECT_EQ(post(form, exchange(form).request(message(key_, "1")).value()).status(), 200);
  EXPECT_EQ(post(form, exchange(form).request(message(key_, "2")).value()).status(), 503);
  EXPECT_EQ(inner_.served, 1);
}

TEST_F(OhttpFrontTest, TellsAllStrangersTheSame) {
  for (const auto form : kForms) {
    const auto good = exchange(form).request(message(key_, "question")).value();
    EXPECT_EQ(post(form, good).status(), 200);
    const auto refusal = post(form, good);  // once more
    EXPECT_EQ(refusal.header("content-type"), "application/problem+json");
    const auto before = inner_.served;
    for (std::size_t at : {std::size_t{0}, std::size_t{2}, std::size_t{20}, good.size() - 1}) {
      auto bad = good;
      bad[at] ^= std::byte{1};
      const auto outer = post(form, bad);
      EXPECT_EQ(outer.status(), 400);
      EXPECT_EQ(outer.body(), refusal.body());
    }
    EXPECT_EQ(post(form, {}).body(), refusal.body());
    EXPECT_EQ(post(form, {good.begin(), good.begin() + 100}).body(), refusal.body());
    EXPECT_EQ(inner_.served, before);
  }
}

TEST_F(OhttpFrontTest, WhatIsNoHttpInsideIsToldInside) {
  auto client = exchange(OhttpForm::plain);
  const auto outer = post(OhttpForm::plain, client.request(as_bytes("gibberish")).value());
  EXPECT_EQ(outer.status(), 200);
  EXPECT_TRUE(opened(client, outer).starts_with("400 "));
}

TEST_F(OhttpFrontTest, ACutChunkedBodyIsNotServedAsAWhole) {
  auto client = exchange(OhttpForm::chunked);
  auto wire = client.request(message(key_, std::string(5000, 'q')), 1000).value();
  wire.resize(wire.size() - 10);
  EXPECT_EQ(post(OhttpForm::chunked, wire).status(), 200);
  EXPECT_EQ(inner_.said.find("qqq"), std::string::npos);
}

TEST_F(OhttpFrontTest, PublishesKeysWhereClientsLook) {
  const auto published = ask("GET", "/ohttp-configs");
  EXPECT_EQ(published.header("cache-control"), "max-age=150");
  EXPECT_EQ(ask("GET", "/.well-known/ohttp-gateway").body(), published.body());
  const auto configs = seal::parse_key_configs(as_bytes(published.body())).value();
  ASSERT_EQ(configs.size(), 2u);
  EXPECT_EQ(configs[0].kem, crypto::KemId::mlkem768_x25519);
  EXPECT_EQ(configs[1].kem, crypto::KemId::dhkem_x25519);
  // The identity vouches for them.
  const auto evidence = seal::open_evidence(service_->evidence({}), {}).value();
  EXPECT_EQ(evidence.statement.ohttp, configs);
}

TEST_F(OhttpFrontTest, IsOffUnlessAskedFor) {
  const auto wire = exchange(OhttpForm::plain).request(message(key_, "question")).value();
  make(false, keys_.get());
  EXPECT_EQ(post(OhttpForm::plain, wire).status(), 415);
  EXPECT_EQ(post(OhttpForm::chunked, wire).status(), 400);
  EXPECT_EQ(ask("GET", "/ohttp-configs").status(), 404);  // the inner handler's word
}

}  // namespace
}  // namespace tacit::gateway
