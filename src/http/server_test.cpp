#include "http/server.hpp"

#include "async/tls_testing.hpp"
#include "http/http_testing.hpp"

namespace tacit::http {
namespace {

// A server on a free loopback port of the test's event loop.
class TestServer {
 public:
  explicit TestServer(ServerLimits limits = {},
                      std::shared_ptr<async::TlsServerContext> tls = nullptr)
      : server{shard, handler, log_, shared,
               ServerOptions{
                   .listen = {.host = "127.0.0.1"}, .tls = std::move(tls), .limits = limits}},
        group{shard.io.get_executor()} {
    EXPECT_TRUE(server.listen(true));
  }
  Async<std::unique_ptr<async::Stream>> connect(
      std::shared_ptr<async::TlsClientContext> tls = nullptr) {
    const async::Endpoint endpoint{.host = "127.0.0.1", .port = server.port()};
    co_return co_await async::connect(endpoint, std::move(tls), soon());
  }
  // A client connected to it.
  Task<RawClient> client() {
    auto stream = co_await connect();
    EXPECT_TRUE(stream);
    co_return RawClient{*std::move(stream)};
  }
  // Runs the server and `body` until both have ended.
  void run(Task<> body) {
    group.spawn(server.run());
    async::run_task(shard.io, std::move(body));
    async::testing_detail::drive(shard.io, group, Seconds{30});  // the body has drained the server
    EXPECT_EQ(shared->connections.load(), 0U);
  }

  async::Shard shard{0};
  TestHandler handler;
  std::shared_ptr<Server::Shared> shared = std::make_shared<Server::Shared>();

 private:
  NullLogger log_;

 public:
  Server server;
  async::TaskGroup group;
};

constexpr const char* kGet = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";

Task<> serve_and_count(TestServer& test) {
  auto one = co_await test.client();
  auto two = co_await test.client();
  for (auto* client : {&one, &two}) {
    co_await client->send(kGet);
    EXPECT_EQ(status_of(co_await client->read_response()), 200);
  }
  EXPECT_EQ(test.handler.last_carrier, Carrier::plain_loopback);
  EXPECT_EQ(test.shared->connections.load(), 2U);
  EXPECT_EQ(test.shared->requests_total.load(), 2U);
  co_await two.send("\n");
  (void)co_await two.read_to_end();
  EXPECT_EQ(test.shared->refused_total.load(), 1U);
  EXPECT_EQ(co_await test.server.drain(soon()), 0U);
}

TEST(Server, ServesAndCounts) {
  TestServer test;
  test.run(serve_and_count(test));
}

Task<> too_many(TestServer& test) {
  auto one = co_await test.client();
  co_await one.send(kGet);
  EXPECT_EQ(status_of(co_await one.read_response()), 200);
  auto two = co_await test.client();
  co_await two.send(kGet);
  const auto refused = co_await two.read_to_end();
  EXPECT_EQ(status_of(refused), 503);
  EXPECT_NE(refused.find("retry-after: "), std::string::npos);
  EXPECT_NE(refused.find("too many connections (limit 1)"), std::string::npos);
  two.stream().close();
  one.stream().close();
  while (test.shared->connections.load() > 0) (void)co_await async::sleep_for(Milliseconds{1});
  auto three = co_await test.client();
  co_await three.send(kGet);
  EXPECT_EQ(status_of(co_await three.read_response()), 200);
  EXPECT_EQ(co_await test.server.drain(soon()), 0U);
}

TEST(Server, RefusesConnectionsOverTheLimit) {
  ServerLimits limits;
  limits.connections_max = 1;
  TestServer test{limits};
  test.run(too_many(test));
}

Task<> drain_into(Server& server, Deadline deadline, std::optional<std::size_t>& out) {
  out = co_await server.drain(deadline);
}

Task<> graceful_drain(TestServer& test) {
  auto idle = co_await test.client();
  co_await idle.send(kGet);
  EXPECT_EQ(status_of(co_await idle.read_response()), 200);
  auto streaming = co_await test.client();
  co_await streaming.send("GET /stream-and-wait HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ((co_await streaming.read_until("first ")).find("connection: close"), std::string::npos);
  const auto port = test.server.port();

  async::TaskGroup group{test.shard.io.get_executor()};
  std::optional<std::size_t> cut_off;
  group.spawn(drain_into(test.server, soon(), cut_off));
  EXPECT_EQ(co_await idle.read_to_end(), "");  // idle connections end at once
  EXPECT_FALSE(cut_off);
  const async::Endpoint endpoint{.host = "127.0.0.1", .port = port};
  EXPECT_FALSE((co_await async::connect(endpoint, nullptr, soon())).has_value());
  // A request behind the running one is refused in words.
  co_await streaming.send(kGet);
  test.handler.go->notify();
  const auto rest = co_await streaming.read_to_end();
  EXPECT_EQ(rest.substr(0, 18), "\r\n6\r\nsecond\r\n0\r\n\r\n");
  EXPECT_EQ(status_of(rest.substr(18)), 503);
  EXPECT_NE(rest.find("connection: close\r\n"), std::string::npos);
  EXPECT_NE(rest.find("retry-after: "), std::string::npos);
  EXPECT_NE(rest.find("shutting_down"), std::string::npos);
  streaming.stream().close();
  EXPECT_TRUE(co_await group.join(soon()));
  EXPECT_EQ(cut_off, 0U);
}

TEST(Server, DrainLetsRunningStreamsFinish) {
  TestServer test;
  test.run(graceful_drain(test));
}

Task<> answers_in_drain(TestServer& test) {
  auto client = co_await test.client();
  co_await client.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
  while (!test.handler.waiting) (void)co_await async::sleep_for(Milliseconds{1});
  async::TaskGroup group{test.shard.io.get_executor()};
  std::optional<std::size_t> cut_off;
  group.spawn(drain_into(test.server, soon(), cut_off));
  co_await async::yield();
  test.handler.go->notify();
  const auto all = co_await client.read_to_end();
  EXPECT_EQ(body_of(all), "went");
  EXPECT_NE(all.find("connection: close\r\n"), std::string::npos);
  EXPECT_TRUE(co_await group.join(soon()));
  EXPECT_EQ(cut_off, 0U);
}

TEST(Server, ResponsesDuringDrainSayClose) {
  TestServer test;
  test.run(answers_in_drain(test));
}

Task<> cut_off_drain(TestServer& test) {
  auto one = co_await test.client();
  auto two = co_await test.client();
  co_await one.send("GET /stream-and-wait HTTP/1.1\r\nHost: a\r\n\r\n");
  co_await two.send("GET /flood HTTP/1.1\r\nHost: a\r\n\r\n");
  (void)co_await one.read_until("first ");
  (void)co_await two.read_until("xxx");
  EXPECT_EQ(co_await test.server.drain(Deadline::after(Milliseconds{20})), 2U);
  EXPECT_EQ(test.handler.ended_with, Code::cancelled);
  EXPECT_EQ((co_await one.read_to_end()).find("0\r\n\r\n"), std::string::npos);
}

TEST(Server, DrainCutsOffAtItsDeadline) {
  TestServer test;
  test.run(cut_off_drain(test));
}

Task<> over_tls(TestServer& test, std::shared_ptr<async::TlsClientContext> tls) {
  // A plain client on the TLS port gets nothing, and harms nobody.
  auto plain = co_await test.client();
  co_await plain.send(kGet);
  EXPECT_EQ((co_await plain.read_to_end()).find("HTTP"), std::string::npos);

  auto stream = co_await test.connect(tls);
  TACIT_CO_ASSERT(stream);
  EXPECT_EQ((*stream)->tls()->group, "X25519MLKEM768");
  RawClient client{*std::move(stream)};
  co_await client.send(kGet);
  EXPECT_EQ(status_of(co_await client.read_response()), 200);
  EXPECT_EQ(test.handler.last_carrier, Carrier::tls);
  // Going away is noticed under TLS, too: an orderly close, and a cut.
  for (const bool orderly : {true, false}) {
    auto second = co_await test.connect(tls);
    TACIT_CO_ASSERT(second);
    RawClient leaver{*std::move(second)};
    test.handler.ended_with.reset();
    co_await leaver.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
    while (!test.handler.waiting) (void)co_await async::sleep_for(Milliseconds{1});
    if (orderly) co_await leaver.stream().shutdown(soon());
    if (!orderly) leaver.stream().close();
    while (test.handler.waiting) (void)co_await async::sleep_for(Milliseconds{1});
    EXPECT_EQ(test.handler.ended_with, Code::cancelled);
  }
  EXPECT_EQ(co_await test.server.drain(soon()), 0U);
}

TEST(Server, Tls) {
  const async::TestCertificate certificate{"127.0.0.1"};
  auto server_tls =
      async::TlsServerContext::from_files(certificate.certificate_file(), certificate.key_file());
  auto client_tls = async::TlsClientContext::create({.ca_file = certificate.certificate_file()});
  ASSERT_TRUE(server_tls && client_tls);
  TestServer test{{}, *server_tls};
  test.run(over_tls(test, *client_tls));
}

Task<> busy_then_cancel(TestServer& test) {
  auto client = co_await test.client();
  co_await client.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
  while (!test.handler.waiting) (void)co_await async::sleep_for(Milliseconds{1});
  test.group.cancel();
  (void)co_await client.read_to_end();
  while (test.group.num_running() > 0) co_await async::yield();
  EXPECT_EQ(test.handler.ended_with, Code::cancelled);
}

TEST(Server, CancellingRunEndsEverything) {
  TestServer test;
  test.run(busy_then_cancel(test));
}

}  // namespace
}  // namespace tacit::http
