// The relay between a real client and a real server of HTTP, on loopback.
#include "relay/relay.hpp"

#include <optional>

#include "async/async_testing.hpp"
#include "http/server.hpp"

namespace tacit::relay {
namespace {

constexpr std::string_view kGateway = "/.well-known/ohttp-gateway";

Deadline soon() { return Deadline::after(Seconds{30}); }

// The target: remembers what it saw and answers with the body that it got.
class Target final : public http::Handler {
 public:
  Task<> serve(http::Exchange& exchange) override {
    seen.push_back(exchange.request());
    const auto body = co_await http::read_body(exchange, 64 << 20);
    bodies.emplace_back(body ? body->reveal() : "cut");
    if (!body) co_return;
    http::ResponseHead head{status, {}};
    head.headers.add("content-type", answer_type);
    head.headers.add("set-cookie", "client=7");
    if (!hold)
      co_return (void) co_await exchange.respond(std::move(head), as_bytes(body->reveal()));
    (void)co_await exchange.start(std::move(head));
    (void)co_await exchange.write(as_bytes("first"));
    (void)co_await hold->wait(soon());
    (void)co_await exchange.finish();
  }
  int status = 200;
  std::string answer_type = "message/ohttp-chunked-res";
  std::optional<async::Signal> hold;
  std::vector<http::RequestHead> seen;
  std::vector<std::string> bodies;
};

class World {
 public:
  explicit World(RateLimits limits = {}, std::optional<BatchOptions> batching = {})
      : tasks_{shard.io.get_executor()}, target_server{server(target)}, limiter_{limits} {
    if (batching) batch_.emplace(*batching, shard.io.get_executor());
    EXPECT_TRUE(target_server->listen(true));
    relay.emplace(RelayOptions{make_targets({url(*target_server)}).value(), 1 << 20}, client_,
                  limiter_, batch_ ? &*batch_ : nullptr);
    relay_server = server(*relay);
    EXPECT_TRUE(relay_server->listen(true));
  }
  void run(Task<> body) {
    tasks_.spawn(target_server->run());
    tasks_.spawn(relay_server->run());
    async::run_task(shard.io, until_drained(std::move(body)));
    async::testing_detail::drive(shard.io, tasks_, Seconds{30});
  }
  static std::string url(const http::Server& server) {
    return "http://127.0.0.1:" + std::to_string(server.port());
  }

  struct Answer {
    int status = 0;
    std::string body;
    http::Headers headers;
  };
  Task<Answer> ask(std::string method, std::string path, std::string_view type = {},
                   std::string_view body = {}) {
    http::Headers headers;
    if (!type.empty()) headers.add("content-type", std::string{type});
    headers.add("user-agent", "somebody/1.0");
    headers.add("cookie", "who=me");
    headers.add("x-forwarded-for", "192.0.2.7");
    headers.add("x-request-id", "mine");
    headers.add("authorization", "Bearer secret");
    http::Client client;
    auto response = co_await client.send(std::move(method), url(*relay_server) + std::move(path),
                                         std::move(headers), as_bytes(body), soon());
    if (!response) co_return Answer{};
    const auto answer = co_await http::read_all(**response, 64 << 20, soon());
    co_return Answer{(*response)->head().status,
                     answer ? std::string{as_text(*answer)} : answer.error().message(),
                     (*response)->head().headers};
  }

  async::Shard shard{0};
  Target target;
  std::optional<Relay> relay;

 private:
  std::unique_ptr<http::Server> server(http::Handler& handler) {
    return std::make_unique<http::Server>(
        shard, handler, log_, std::make_shared<http::Server::Shared>(),
        http::ServerOptions{.listen = {.host = "127.0.0.1"}, .tls = nullptr, .limits = {}});
  }
  Task<> until_drained(Task<> body) {
    co_await std::move(body);
    (void)co_await relay_server->drain(Deadline::after(Seconds{5}));
    (void)co_await target_server->drain(Deadline::after(Seconds{5}));
  }
  NullLogger log_;
  async::TaskGroup tasks_;
  http::Client client_{{.limits = {.redirects_max = 0}}};

 public:
  std::unique_ptr<http::Server> target_server;
  std::unique_ptr<http::Server> relay_server;

 private:
  RateLimiter limiter_;
  std::optional<Batch> batch_;
};

Task<> carries(World& world) {
  for (const auto* type : {"message/ohttp-req", "message/ohttp-chunked-req"}) {
    for (const std::size_t size : {std::size_t{5}, std::size_t{1'000'000}}) {
      const std::string body(size, 'x');
      const auto answer = co_await world.ask("POST", std::string{kGateway}, type, body);
      EXPECT_EQ(answer.status, 200);
      EXPECT_EQ(answer.body, body);
      EXPECT_EQ(answer.headers.find("content-type"), "message/ohttp-chunked-res");
      EXPECT_FALSE(answer.headers.contains("set-cookie"));
      const auto& seen = world.target.seen.back();
      EXPECT_EQ(seen.headers.find("content-type"), type);
      for (const auto* field :
           {"cookie", "x-forwarded-for", "x-request-id", "authorization", "forwarded", "via"}) {
        EXPECT_FALSE(seen.headers.contains(field)) << field;
      }
      EXPECT_EQ(seen.headers.find("user-agent")->find("somebody"), std::string_view::npos);
    }
  }
}
TEST(Relay, CarriesMessagesAndNothingElseOfTheClient) {
  World world;
  world.run(carries(world));
  EXPECT_EQ(world.relay->counts().forwarded, 4u);
}

Task<> streams(World& world) {
  world.target.hold.emplace(world.shard.io.get_executor());
  http::Client client;
  http::Headers headers;
  headers.add("content-type", "message/ohttp-chunked-req");
  auto response =
      co_await client.send("POST", World::url(*world.relay_server) + std::string{kGateway},
                           std::move(headers), as_bytes("question"), soon());
  TACIT_CO_ASSERT(response);
  Bytes buffer(100);
  const auto n = co_await (*response)->read_some(buffer, soon());  // before the target is done
  TACIT_CO_ASSERT(n);
  EXPECT_EQ(as_text(BytesView{buffer}.first(*n)), "first");
  world.target.hold->notify();
  EXPECT_EQ((co_await (*response)->read_some(buffer, soon())).value_or(9), 0u);
}
TEST(Relay, AnswersStream) {
  World world;
  world.run(streams(world));
}

Task<> refuses(World& world) {
  const std::string nonce(64, 'a');
  const std::string gateway{kGateway};
  for (const auto& [method, path, type] :
       std::vector<std::array<std::string, 3>>{{"POST", "/v1/models", "message/ohttp-req"},
                                               {"POST", gateway, "application/json"},
                                               {"POST", gateway, ""},
                                               {"POST", gateway + "?a=b", "message/ohttp-req"},
                                               {"PUT", gateway, "message/ohttp-req"},
                                               {"GET", "/v1/models", ""},
                                               {"GET", gateway + "?who=me", ""},
                                               {"GET", "/.well-known/tacit/evidence?nonce=me", ""},
                                               {"GET", "/.well-known/../v1", ""}}) {
    const auto answer = co_await world.ask(method, path, type, method == "GET" ? "" : "x");
    EXPECT_EQ(answer.status, 404) << method << path;
  }
  EXPECT_TRUE(world.target.seen.empty());
  world.target.answer_type = "application/ohttp-keys";
  EXPECT_EQ((co_await world.ask("GET", "/ohttp-configs")).status, 200);
  EXPECT_EQ((co_await world.ask("GET", gateway)).status, 200);
  EXPECT_EQ((co_await world.ask("GET", "/.well-known/tacit/evidence?nonce=" + nonce)).status, 200);
  EXPECT_EQ((co_await world.ask("GET", "/health")).status, 200);
  EXPECT_EQ(world.target.seen.size(), 3u);
}
TEST(Relay, CarriesWhatClientsNeedAndNoMore) {
  World world;
  world.run(refuses(world));
}

Task<> foreign_answers(World& world) {
  world.target.status = 500;
  world.target.answer_type = "text/html";
  const auto error = co_await world.ask("POST", std::string{kGateway}, "message/ohttp-req", "x");
  EXPECT_EQ(error.status, 500);
  EXPECT_EQ(error.body, "");
  world.target.status = 307;
  EXPECT_EQ((co_await world.ask("POST", std::string{kGateway}, "message/ohttp-req", "x")).status,
            502);
  world.target.status = 400;
  world.target.answer_type = "application/problem+json";
  const auto refusal = co_await world.ask("POST", std::string{kGateway}, "message/ohttp-req", "{}");
  EXPECT_EQ(refusal.status, 400);
  EXPECT_EQ(refusal.body, "{}");
  co_await world.target_server->drain(Deadline::after(Seconds{5}));
  EXPECT_EQ((co_await world.ask("POST", std::string{kGateway}, "message/ohttp-req", "x")).status,
            502);
}
TEST(Relay, PassesOnRefusalsAndNoForeignContent) {
  World world;
  world.run(foreign_answers(world));
  EXPECT_EQ(world.relay->counts().failed, 2u);
}

Task<> limited(World& world) {
  const std::string gateway{kGateway};
  EXPECT_EQ((co_await world.ask("POST", gateway, "message/ohttp-req", "x")).status, 200);
  EXPECT_EQ((co_await world.ask("POST", gateway, "message/ohttp-req", "x")).status, 200);
  const auto third = co_await world.ask("POST", gateway, "message/ohttp-req", "x");
  EXPECT_EQ(third.status, 429);
  EXPECT_TRUE(third.headers.contains("retry-after"));
}
TEST(Relay, LimitsRates) {
  World world{{.client = {.per_s = 1e-6, .burst = 2}, .total = {}}};
  world.run(limited(world));
  EXPECT_EQ(world.relay->counts().limited, 1u);
  EXPECT_EQ(world.target.seen.size(), 2u);
}

Task<> ask_one(World& world, std::string body, int& answered) {
  const auto answer = co_await world.ask("POST", std::string{kGateway}, "message/ohttp-req", body);
  if (answer.status == 200 && answer.body == body) ++answered;
}
Task<> batched(World& world) {
  int answered = 0;
  async::TaskGroup group{world.shard.io.get_executor()};
  for (const auto* body : {"a", "b", "c"}) group.spawn(ask_one(world, body, answered));
  (void)co_await group.join(soon());
  EXPECT_EQ(answered, 3);
  const std::string large(2 << 20, 'x');
  EXPECT_EQ((co_await world.ask("POST", std::string{kGateway}, "message/ohttp-req", large)).status,
            413);
}
TEST(Relay, BatchesWholeRequests) {
  World world{{}, BatchOptions{.requests = 3, .wait = Milliseconds{30'000}}};
  world.run(batched(world));
  EXPECT_EQ(world.target.seen.size(), 3u);
}

TEST(Relay, ManyTargetsHaveAPathEach) {
  const auto one = make_targets({"https://a.example/"}).value();
  EXPECT_EQ(one[0].url, "https://a.example");
  EXPECT_EQ(one[0].path, "");
  const auto two = make_targets({"a.example", "http://b.example:81/base/"}).value();
  EXPECT_EQ(two[0].url, "https://a.example");
  EXPECT_EQ(two[0].path, "/a.example");
  EXPECT_EQ(two[1].url, "http://b.example:81/base");
  EXPECT_EQ(two[1].path, "/b.example:81");
  for (const auto* bad : {"ftp://a.example", "https://", "https://user@a.example", "https://a?b"}) {
    EXPECT_FALSE(make_targets({bad})) << bad;
  }
  EXPECT_FALSE(make_targets({"https://a.example/1", "https://a.example/2"}));
}

}  // namespace
}  // namespace tacit::relay
