// The gateway's routes over a fake exchange and a fake backend: no network, no model.
#include "gateway/gateway.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <deque>
#include <filesystem>

#include "domain/testing/fake_backend.hpp"
#include "gateway/testing/fake_exchange.hpp"

namespace tacit::gateway {
namespace {

using domain::Content;
using domain::testing::FakeProvider;
using testing::FakeExchange;

class GatewayTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        std::filesystem::temp_directory_path() / ("tacit-gateway-" + std::to_string(::getpid()));
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    keys_ = std::move(*KeyStore::open(folder_ / "state.db", clock_));
    key_ = std::move(keys_->create("test")->key);
    gateway_ = make(true);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<Gateway> make(bool require_key) {
    return std::make_unique<Gateway>(
        GatewayParts{.models = models_,
                     .keys = keys_.get(),
                     .metrics = metrics_,
                     .shard_index = 0,
                     .clock = clock_,
                     .log = log_,
                     .gauges = [] { return std::vector<ModelGauges>{{"fake", 1, 2, 0.5}}; },
                     .open_connections = [] { return std::size_t{3}; },
                     .cache_salts = &cache_salts_},
        GatewayOptions{.body_bytes_max = 1 << 20, .require_key = require_key, .version = "1"});
  }

  FakeExchange& ask(std::string method, std::string target, std::string body = {},
                    bool with_key = true) {
    http::RequestHead head{std::move(method), std::move(target), {}};
    if (with_key) head.headers.add("Authorization", "Bearer " + std::string{key_.reveal()});
    exchanges_.emplace_back(std::move(head), std::move(body));
    auto& exchange = exchanges_.back();
    asio::io_context io{1};
    auto done = asio::co_spawn(io, gateway_->serve(exchange), asio::use_future);
    io.run();
    done.get();
    return exchange;
  }
  FakeExchange& chat(std::string_view extra = {}) {
    return ask("POST", "/v1/chat/completions",
               R"({"model":"fake","messages":[{"role":"user","content":"hi"}])" +
                   std::string{extra} + "}");
  }

  std::filesystem::path folder_;
  ManualClock clock_;
  NullLogger log_;
  FakeProvider models_;
  Metrics metrics_{1};
  CacheSalts cache_salts_;
  std::unique_ptr<KeyStore> keys_;
  SecretText key_;
  std::unique_ptr<Gateway> gateway_;
  std::deque<FakeExchange> exchanges_;
};

TEST_F(GatewayTest, HealthNeedsNoKeyAndTheRestDoes) {
  EXPECT_EQ(ask("GET", "/health", {}, false).status(), 200);
  for (const auto* path : {"/v1/models", "/v1/models/fake", "/metrics"}) {
    EXPECT_EQ(ask("GET", path, {}, false).status(), 401) << path;
    EXPECT_EQ(ask("GET", path).status(), 200) << path;
  }
  const auto& refused = ask("POST", "/v1/chat/completions", "{}", false);
  EXPECT_EQ(refused.status(), 401);
  EXPECT_EQ(refused.header("www-authenticate"), "Bearer");
  EXPECT_NE(refused.body().find("invalid_api_key"), std::string::npos);
}

TEST_F(GatewayTest, WithoutAuthAnyoneIsAnswered) {
  gateway_ = make(false);
  EXPECT_EQ(ask("GET", "/v1/models", {}, false).status(), 200);
}

TEST_F(GatewayTest, UnknownPathsAndMethods) {
  EXPECT_EQ(ask("GET", "/v1/nope").status(), 404);
  const auto& wrong = ask("GET", "/v1/chat/completions");
  EXPECT_EQ(wrong.status(), 405);
  EXPECT_EQ(wrong.header("allow"), "POST, OPTIONS");
  const auto& options = ask("OPTIONS", "/v1/models", {}, false);
  EXPECT_EQ(options.status(), 204);
  EXPECT_EQ(options.header("allow"), "GET, HEAD, OPTIONS");
  EXPECT_EQ(ask("HEAD", "/health", {}, false).status(), 200);
  EXPECT_EQ(ask("GET", "/v1/models/absent").status(), 404);
  EXPECT_EQ(ask("GET", "/v1/models/a/b").status(), 404);
}

TEST_F(GatewayTest, AnswersWholeAndStreamed) {
  models_.script = [](const domain::GenerateRequest& request, auto& out) {
    out.emplace_back(domain::Started{2});
    out.emplace_back(domain::TextDelta{request.messages.at(0).content.clone()});
    out.emplace_back(domain::Finished{domain::FinishReason::stop, {2, 0, 1}});
  };
  const auto& whole = chat();
  EXPECT_EQ(whole.status(), 200);
  EXPECT_NE(whole.body().find(R"("content":"hi")"), std::string::npos) << whole.body();
  const auto& streamed = chat(R"(,"stream":true)");
  EXPECT_EQ(streamed.status(), 200);
  EXPECT_TRUE(streamed.finished());
  EXPECT_EQ(streamed.header("content-type"), "text/event-stream; charset=utf-8");
  EXPECT_TRUE(streamed.body().ends_with("data: [DONE]\n\n"));
  EXPECT_EQ(metrics_.shard(0).model("fake").generation_tokens.value(), 2u);
  EXPECT_EQ(metrics_.shard(0).model("fake").requests[0].value(), 2u);
}

TEST_F(GatewayTest, TheTenantIsTheKeyNotWhatTheCallerSays) {
  std::string tenant;
  models_.script = [&](const domain::GenerateRequest& request, auto& out) {
    tenant = request.tenant;
    out.emplace_back(domain::Finished{});
  };
  chat(R"(,"user":"someone","tenant":"else")");
  EXPECT_EQ(tenant, keys_->list()->at(0).id);
}

TEST_F(GatewayTest, TheCacheIsTheKeysNotWhatTheCallerSays) {
  std::vector<domain::CacheSalt> salts;
  models_.script = [&](const domain::GenerateRequest& request, auto& out) {
    ASSERT_TRUE(request.cache_salt);
    salts.push_back(*request.cache_salt);
    out.emplace_back(domain::Finished{});
  };
  chat();
  chat(R"(,"cache_salt":"AAAA","prompt_cache_key":"x","user":"someone")");
  key_ = std::move(keys_->create("other")->key);
  chat();
  ASSERT_EQ(salts.size(), 3u);
  EXPECT_EQ(salts[0], salts[1]);
  EXPECT_NE(salts[0], salts[2]);
  EXPECT_EQ(salts[0], cache_salts_.of(keys_->list()->at(0).id));
}

TEST_F(GatewayTest, AFailureBeforeTheFirstTokenHasItsStatus) {
  models_.script = [](const auto&, auto& out) {
    out.emplace_back(
        domain::Failed{Error{Code::context_exceeded, "the prompt does not fit the context"}
                           .with("tokens", 5000)
                           .with("limit", 4096)});
  };
  const auto& refused = chat(R"(,"stream":true)");
  EXPECT_EQ(refused.status(), 400);
  EXPECT_NE(refused.body().find("tokens 5000, limit 4096"), std::string::npos) << refused.body();
  EXPECT_NE(refused.body().find("context_length_exceeded"), std::string::npos);
}

TEST_F(GatewayTest, AFailureInMidStreamIsAnErrorEvent) {
  models_.script = [](const auto&, auto& out) {
    out.emplace_back(domain::TextDelta{Content{"x"}});
    out.emplace_back(
        domain::Failed{Error{Code::worker_lost, "engine worker ended during the request"}});
  };
  const auto& streamed = chat(R"(,"stream":true)");
  EXPECT_EQ(streamed.status(), 200);
  EXPECT_TRUE(streamed.finished());
  EXPECT_NE(streamed.body().find(R"("code":"worker_lost")"), std::string::npos);
  EXPECT_EQ(streamed.body().find("[DONE]"), std::string::npos);
  const auto& whole = chat();
  EXPECT_EQ(whole.status(), 503);
  EXPECT_EQ(whole.header("retry-after"), "1");
}

TEST_F(GatewayTest, RefusalsOfTheProviderAndTheBackend) {
  const auto& unknown = ask("POST", "/v1/chat/completions",
                            R"({"model":"no","messages":[{"role":"user","content":"x"}]})");
  EXPECT_EQ(unknown.status(), 404);
  EXPECT_NE(unknown.body().find(R"("code":"model_not_found")"), std::string::npos);
  models_.refusal = Error{Code::overloaded, "the queue is full"};
  const auto& busy = chat();
  EXPECT_EQ(busy.status(), 429);
  EXPECT_EQ(busy.header("retry-after"), "1");
}

TEST_F(GatewayTest, ManyChoicesRunAFewAtATimeAndAllAreAnswered) {
  models_.one_event_at_a_time = true;
  models_.script = [](const domain::GenerateRequest& request, auto& out) {
    out.emplace_back(domain::Started{2});
    out.emplace_back(domain::TextDelta{Content{std::to_string(request.sampling.seed.value_or(0))}});
    out.emplace_back(domain::Finished{domain::FinishReason::stop, {2, 0, 1}});
  };
  const auto& whole = chat(R"(,"n":20,"seed":100)");
  EXPECT_EQ(whole.status(), 200);
  for (int i = 100; i < 120; ++i)
    EXPECT_NE(whole.body().find("\"content\":\"" + std::to_string(i)), std::string::npos) << i;
  const auto& streamed = chat(R"(,"n":20,"seed":100,"stream":true)");
  EXPECT_TRUE(streamed.finished());
  EXPECT_TRUE(streamed.body().ends_with("data: [DONE]\n\n"));
  EXPECT_EQ(metrics_.shard(0).model("fake").requests[0].value(), 40u);
}

TEST_F(GatewayTest, OneChoiceThatFailsFailsTheCall) {
  models_.script = [](const domain::GenerateRequest& request, auto& out) {
    out.emplace_back(domain::TextDelta{Content{"x"}});
    if (request.sampling.seed == 3U)
      out.emplace_back(domain::Failed{Error{Code::worker_lost, "engine worker ended"}});
    else
      out.emplace_back(domain::Finished{});
  };
  EXPECT_EQ(chat(R"(,"n":4,"seed":1)").status(), 503);
  const auto& streamed = chat(R"(,"n":4,"seed":1,"stream":true)");
  EXPECT_TRUE(streamed.finished());
  EXPECT_NE(streamed.body().find("worker_lost"), std::string::npos);
  models_.refusal = Error{Code::overloaded, "the queue is full"};
  EXPECT_EQ(chat(R"(,"n":4)").status(), 429);
}

TEST_F(GatewayTest, AClientThatLeavesAmongManyChoicesEndsThemAll) {
  models_.script = [](const auto&, auto& out) {
    out.emplace_back(domain::TextDelta{Content{"x"}});
    out.emplace_back(domain::Finished{});
  };
  models_.one_event_at_a_time = true;
  http::RequestHead head{"POST", "/v1/chat/completions", {}};
  head.headers.add("authorization", "bearer " + std::string{key_.reveal()});
  FakeExchange exchange{
      std::move(head),
      R"({"model":"fake","stream":true,"n":12,"messages":[{"role":"user","content":"x"}]})"};
  exchange.fail_writes_after = 3;
  asio::io_context io{1};
  auto done = asio::co_spawn(io, gateway_->serve(exchange), asio::use_future);
  io.run();
  done.get();
  EXPECT_FALSE(exchange.finished());
}

TEST_F(GatewayTest, EachApiHasItsOwnErrors) {
  EXPECT_NE(ask("POST", "/v1/messages", "{}", false).body().find("authentication_error"),
            std::string::npos);
  EXPECT_TRUE(ask("POST", "/api/chat", "{}", false).body().starts_with(R"({"error":")"));
  EXPECT_NE(ask("POST", "/completion", "{}", false).body().find(R"("code":401)"),
            std::string::npos);
  EXPECT_EQ(ask("GET", "/api/version", {}, false).status(), 200);
  EXPECT_NE(ask("GET", "/v1/messages").body().find(R"("type":"error")"), std::string::npos);
}

TEST_F(GatewayTest, BadBodies) {
  EXPECT_EQ(ask("POST", "/v1/chat/completions", "{").status(), 400);
  EXPECT_EQ(ask("POST", "/v1/chat/completions", std::string((1 << 20) + 1, ' ')).status(), 413);
}

TEST_F(GatewayTest, AClientThatLeavesIsAnAbort) {
  models_.script = [](const auto&, auto& out) {
    out.emplace_back(domain::TextDelta{Content{"x"}});
    out.emplace_back(domain::Finished{});
  };
  http::RequestHead head{"POST", "/v1/chat/completions", {}};
  head.headers.add("authorization", "bearer " + std::string{key_.reveal()});
  FakeExchange exchange{
      std::move(head),
      R"({"model":"fake","stream":true,"messages":[{"role":"user","content":"x"}]})"};
  exchange.fail_writes_after = 0;
  models_.one_event_at_a_time = true;
  asio::io_context io{1};
  auto done = asio::co_spawn(io, gateway_->serve(exchange), asio::use_future);
  io.run();
  done.get();
  EXPECT_EQ(
      metrics_.shard(0).model("fake").requests[static_cast<std::size_t>(Outcome::abort)].value(),
      1u);
}

}  // namespace
}  // namespace tacit::gateway
