// Sealed requests through the front, over a fake exchange: what gets in, as whom, and what
// everybody else is told.
#include "gateway/sealed_front.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include "core/text.hpp"
#include "gateway/testing/fake_exchange.hpp"
#include "seal/bhttp.hpp"
#include "seal/sealed_client.hpp"

namespace tacit::gateway {
namespace {

using testing::FakeExchange;

// Says who came and what for.
class Inner final : public http::Handler {
 public:
  Task<> serve(http::Exchange& exchange) override {
    const auto body = co_await http::read_body(exchange, 1 << 20);
    said = exchange.request().method + ' ' + exchange.request().target + ' ' +
           std::string{exchange.proven_caller().value_or("nobody")} + ' ' +
           (body ? std::string{body->reveal()} : body.error().message());
    sealed = exchange.carrier() == http::Carrier::sealed;
    (void)co_await exchange.respond({404, {}}, as_bytes("not here"));
  }
  std::string said;
  bool sealed = false;
};

class SealedFrontTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    keys_ = std::move(*KeyStore::open(folder_ / "state.db", clock_));
    auto created = keys_->create("test");
    id_ = created->record.id;
    key_ = std::move(created->key);
    service_ = std::move(*SealedService::open({.identity_file = folder_ / "identity.key",
                                               .key_life = Seconds{600},
                                               .software = "test",
                                               .replay = {}},
                                              clock_, log_));
    make({});
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void make(SealedFrontOptions options) {
    front_ = std::make_unique<SealedFront>(inner_, *service_, keys_.get(), options);
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

  seal::ServerKey known() {
    const auto document = service_->evidence({});
    const auto evidence = seal::open_evidence(document, {}).value();
    return seal::server_key(evidence.statement.sealed, evidence.statement_digest).value();
  }

  struct Sealed {
    std::string wire;
    seal::SealedReply reply;
  };
  Sealed sealed(std::string_view api_key, const seal::BhttpRequest& request, std::string_view body,
                seal::ReplyShape shape = {}) {
    const auto caller = api_key.empty() ? seal::anonymous_caller()
                                        : seal::caller_key(crypto::sha256(as_bytes(api_key)));
    auto begun = seal::SealedRequest::begin(seal::RequestDraft::make(known()).value(), caller,
                                            shape, clock_.wall())
                     .value();
    auto message = seal::bhttp_head(request);
    seal::put_bhttp_content(message, as_bytes(body));
    seal::put_bhttp_end(message);
    Bytes wire{begun.head().begin(), begun.head().end()};
    EXPECT_TRUE(begun.write(message, wire));
    EXPECT_TRUE(begun.finish(wire));
    return {std::string{as_text(wire)}, begun.reply()};
  }
  FakeExchange post(std::string wire) {
    return ask("POST", std::string{seal::kSealedPath}, std::move(wire),
               std::string{seal::kRequestMediaType});
  }

  struct Answer {
    int status = 0;
    std::string body;
    bool whole = false;
  };
  static Answer opened(seal::SealedReply reply, const std::string& wire) {
    seal::BhttpDecoder decoder{seal::BhttpDecoder::Kind::response};
    SecretText content;
    reply.feed(as_bytes(wire));
    reply.end();
    for (;;) {
      const auto data = reply.next();
      if (!data || !*data) break;
      EXPECT_TRUE(decoder.feed(**data, content));
    }
    return {decoder.response().status, std::string{content.reveal()},
            reply.finished() && decoder.end().has_value()};
  }

  const std::filesystem::path folder_ =
      std::filesystem::temp_directory_path() / ("tacit-sealed-front-" + std::to_string(::getpid()));
  ManualClock clock_;
  NullLogger log_;
  std::unique_ptr<KeyStore> keys_;
  std::string id_;
  SecretText key_;
  std::unique_ptr<SealedService> service_;
  Inner inner_;
  std::unique_ptr<SealedFront> front_;
};

const seal::BhttpRequest kAsk{"POST", "https", "ai.example", "/v1/ask?x", {{"te", "trailers"}}};

TEST_F(SealedFrontTest, ServesWhatIsInsideAsItsCaller) {
  for (const std::uint16_t pace : {std::uint16_t{0}, std::uint16_t{1}, seal::ReplyShape::kWhole}) {
    auto request = sealed(key_.reveal(), kAsk, "question", {9, pace});
    const auto outer = post(std::move(request.wire));
    EXPECT_EQ(outer.status(), 200);
    EXPECT_EQ(outer.header("content-type"), seal::kAnswerMediaType);
    EXPECT_TRUE(inner_.sealed);
    EXPECT_EQ(inner_.said, "POST /v1/ask?x " + id_ + " question");
    const auto answer = opened(std::move(request.reply), outer.body());
    EXPECT_EQ(answer.status, 404);
    EXPECT_EQ(answer.body, "not here");
    EXPECT_TRUE(answer.whole);
  }
}

TEST_F(SealedFrontTest, TellsAllStrangersTheSame) {
  const auto good = sealed(key_.reveal(), kAsk, "question").wire;
  EXPECT_EQ(post(good).status(), 200);
  inner_.said.clear();
  const auto refusal = post("");
  EXPECT_EQ(refusal.status(), 400);
  auto flipped = sealed(key_.reveal(), kAsk, "question").wire;
  flipped.back() = static_cast<char>(flipped.back() ^ 1);
  auto unknown_key = sealed(key_.reveal(), kAsk, "question").wire;
  unknown_key[0] = static_cast<char>(unknown_key[0] ^ 1);
  const std::string nobody = "tk-" + std::string(43, 'A');
  for (const auto& bad : {good /* once more */, flipped, unknown_key, good.substr(0, 3000),
                          sealed(nobody, kAsk, "question").wire}) {
    const auto outer = post(bad);
    EXPECT_EQ(outer.status(), 400);
    EXPECT_EQ(outer.body(), refusal.body());
    EXPECT_EQ(outer.header("content-type"), refusal.header("content-type"));
  }
  EXPECT_EQ(inner_.said, "");
}

TEST_F(SealedFrontTest, AStrangerIsServedAsNobody) {
  auto request = sealed("", kAsk, "");
  EXPECT_EQ(post(std::move(request.wire)).status(), 200);
  EXPECT_EQ(inner_.said, "POST /v1/ask?x nobody ");
}

TEST_F(SealedFrontTest, DamageBehindTheFirstFrameIsToldInside) {
  for (const bool cut : {false, true}) {
    auto request = sealed(key_.reveal(), kAsk, std::string(100'000, 'q'));
    if (cut) request.wire.resize(request.wire.size() - 100);
    if (!cut) request.wire.back() = static_cast<char>(request.wire.back() ^ 1);
    const auto outer = post(std::move(request.wire));
    EXPECT_EQ(outer.status(), 200);
    EXPECT_EQ(inner_.said.find("qqq"), std::string::npos);
    EXPECT_TRUE(opened(std::move(request.reply), outer.body()).whole);
  }
}

TEST_F(SealedFrontTest, SealedOnlyMeansIt) {
  EXPECT_EQ(ask("GET", "/v1/models").status(), 404);
  make({.body_bytes_max = 1 << 20, .sealed_only = true});
  inner_.said.clear();
  EXPECT_EQ(ask("GET", "/v1/models").status(), 403);
  EXPECT_EQ(inner_.said, "");
  EXPECT_EQ(ask("GET", "/health").status(), 404);  // the inner handler's word
}

TEST_F(SealedFrontTest, PublishesEvidenceForANonce) {
  const std::string path{seal::kEvidencePath};
  const auto outer = ask("GET", path + "?nonce=" + std::string(64, 'a'));
  EXPECT_EQ(outer.status(), 200);
  EXPECT_EQ(outer.header("content-type"), seal::kEvidenceMediaType);
  seal::EvidenceNonce nonce{};
  nonce.fill(std::byte{0xaa});
  const auto evidence = seal::open_evidence(as_bytes(outer.body()), nonce);
  ASSERT_TRUE(evidence);
  EXPECT_EQ(evidence->statement.identity.fingerprint(), service_->fingerprint());
  for (const auto* bad : {"?nonce=", "?nonce=00", "?nonce=zz", "?other=1"}) {
    EXPECT_EQ(ask("GET", path + bad).status(), 400) << bad;
  }
  EXPECT_EQ(ask("POST", std::string{seal::kSealedPath}, "x", "text/plain").status(), 415);
}

TEST_F(SealedFrontTest, TheIdentityLastsAndIsItsOwnersOnly) {
  const auto file = folder_ / "identity.key";
  struct stat status{};
  ASSERT_EQ(::stat(file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  const auto again = SealedService::open({.identity_file = file, .software = "test"}, clock_, log_);
  ASSERT_TRUE(again);
  EXPECT_EQ((*again)->fingerprint(), service_->fingerprint());
  std::filesystem::resize_file(file, 40);
  EXPECT_EQ(SealedService::open({.identity_file = file}, clock_, log_).error().code(),
            Code::malformed);
}

}  // namespace
}  // namespace tacit::gateway
