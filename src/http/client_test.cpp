#include "http/client.hpp"

#include <unistd.h>

#include <filesystem>

#include "async/tls_testing.hpp"
#include "http/http_testing.hpp"
#include "http/server.hpp"
#include "http/url.hpp"

namespace tacit::http {
namespace {

// A server that says what it is told to: for each connection a list of answers, one per request,
// after which it closes.
class ScriptedServer {
 public:
  using Script = std::vector<std::vector<std::string>>;
  ScriptedServer(const asio::any_io_executor& executor, Script script)
      : script_{std::move(script)},
        listener_{async::Listener::bind(executor, {.host = "127.0.0.1"}).value()},
        group_{executor} {
    group_.spawn(run());
  }
  std::string url(const std::string& path = "/") const {
    return "http://127.0.0.1:" + std::to_string(listener_->port()) + path;
  }
  std::string origin() const { return "127.0.0.1:" + std::to_string(listener_->port()); }
  Task<> stop() {
    listener_->close();
    group_.cancel();
    (void)co_await group_.join(soon());
  }

  std::vector<std::string> heads;  // of the requests, in order
  int connections = 0;

 private:
  Task<> run() {
    for (const auto& answers : script_) {
      auto stream = co_await listener_->accept();
      if (!stream) co_return;
      ++connections;
      RawClient peer{*std::move(stream)};
      for (const auto& answer : answers) {
        auto head = co_await peer.read_until("\r\n\r\n");
        if (head.empty()) break;
        heads.push_back(std::move(head));
        co_await peer.send(answer);
      }
    }
  }
  Script script_;
  std::unique_ptr<async::Listener> listener_;
  async::TaskGroup group_;
};

Async<std::string> get(Client& client, std::string url, std::string method = "GET",
                       std::string body = {}) {
  TACIT_CO_TRY(auto response,
               co_await client.send(std::move(method), std::move(url), {}, as_bytes(body), soon()));
  TACIT_CO_TRY(const auto all, co_await read_all(*response, 1U << 24U, soon()));
  co_return std::to_string(response->head().status) + ' ' + std::string{as_text(all)};
}

const std::string kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

TACIT_ASYNC_TEST(Client, KeepsConnectionsAndFillsInFields) {
  ScriptedServer server{io.get_executor(), {{kOk, kOk}}};
  Client client;
  EXPECT_EQ((co_await get(client, server.url("/a?b=c"))).value_or("failed"), "200 ok");
  EXPECT_EQ((co_await get(client, server.url("/"), "POST", "body")).value_or("failed"), "200 ok");
  TACIT_CO_ASSERT(server.heads.size() == 2);
  EXPECT_EQ(server.connections, 1);
  EXPECT_EQ(server.heads[0].substr(0, 25), "GET /a?b=c HTTP/1.1\r\nhost");
  EXPECT_NE(server.heads[0].find("host: " + server.origin() + "\r\n"), std::string::npos);
  EXPECT_NE(server.heads[0].find("user-agent: tacit"), std::string::npos);
  EXPECT_EQ(server.heads[0].find("content-length"), std::string::npos);
  EXPECT_NE(server.heads[1].find("content-length: 4\r\n"), std::string::npos);
  co_await server.stop();
}

TACIT_ASYNC_TEST(Client, BodiesInEveryFraming) {
  ScriptedServer server{
      io.get_executor(),
      {{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3;x\r\ncde\r\n0\r\nT: "
        "x\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + kOk,
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\nuntil the end"}}};
  Client client;
  EXPECT_EQ((co_await get(client, server.url())).value_or("failed"), "200 abcde");
  EXPECT_EQ((co_await get(client, server.url())).value_or("failed"), "200 ok");
  EXPECT_EQ((co_await get(client, server.url(), "HEAD")).value_or("failed"), "200 ");
  EXPECT_EQ((co_await get(client, server.url())).value_or("failed"), "204 ");
  EXPECT_EQ((co_await get(client, server.url())).value_or("failed"), "200 until the end");
  EXPECT_EQ(server.connections, 1);
  co_await server.stop();
}

TACIT_ASYNC_TEST(Client, RefusesWhatIsAmbiguousOrCutShort) {
  for (const char* answer :
       {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: "
        "3\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
        "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n", "HTTP/2.0 200 OK\r\n\r\n",
        "SSH-2.0-OpenSSH\r\n"}) {
    ScriptedServer server{io.get_executor(), {{answer}}};
    Client client;
    const auto got = co_await get(client, server.url());
    EXPECT_FALSE(got.has_value()) << answer;
    if (!got) EXPECT_EQ(got.error().code(), Code::malformed) << answer;
    co_await server.stop();
  }
}

TACIT_ASYNC_TEST(Client, StaleConnectionsAreReplacedOnce) {
  {  // noticed before sending: any method
    ScriptedServer server{io.get_executor(), {{kOk}, {kOk}}};
    Client client;
    EXPECT_TRUE((co_await get(client, server.url())).has_value());
    (void)co_await async::sleep_for(Milliseconds{5});  // the server has closed by now
    EXPECT_EQ((co_await get(client, server.url(), "POST", "x")).value_or("failed"), "200 ok");
    EXPECT_EQ(server.connections, 2);
    co_await server.stop();
  }
  // Closed in answer to the request: repeated only where that is harmless.
  for (const bool harmless : {true, false}) {
    ScriptedServer server{io.get_executor(), {{kOk, ""}, {kOk}}};
    Client client;
    EXPECT_TRUE((co_await get(client, server.url())).has_value());
    const auto second =
        co_await get(client, server.url(), harmless ? "GET" : "POST", harmless ? "" : "x");
    EXPECT_EQ(second.has_value(), harmless);
    if (!second) EXPECT_EQ(second.error().code(), Code::unavailable);
    EXPECT_EQ(server.connections, harmless ? 2 : 1);
    co_await server.stop();
  }
}

TACIT_ASYNC_TEST(Client, Redirects) {
  ScriptedServer other{io.get_executor(), {{kOk}}};
  ScriptedServer server{io.get_executor(),
                        {{"HTTP/1.1 302 Found\r\nLocation: next?q\r\nContent-Length: 3\r\n\r\nabc",
                          "HTTP/1.1 308 Permanent Redirect\r\nLocation: " + other.url("/there") +
                              "\r\nContent-Length: 0\r\n\r\n"}}};
  Client client;
  Headers headers;
  headers.add("Authorization", "Bearer secret");
  headers.add("X-Kept", "yes");
  const auto response =
      co_await client.send("POST", server.url("/a/b"), headers, as_bytes("body"), soon());
  TACIT_CO_ASSERT(response);
  EXPECT_EQ((*response)->url(), other.url("/there"));
  TACIT_CO_ASSERT(server.heads.size() == 2 && other.heads.size() == 1);
  EXPECT_EQ(server.heads[1].find("POST"), std::string::npos);
  EXPECT_NE(server.heads[1].find("GET /a/next?q HTTP/1.1\r\n"), std::string::npos);
  EXPECT_NE(server.heads[1].find("Bearer secret"), std::string::npos);
  EXPECT_EQ(other.heads[0].find("Bearer secret"), std::string::npos);
  EXPECT_NE(other.heads[0].find("X-Kept: yes"), std::string::npos);
  co_await server.stop();
  co_await other.stop();
}

TACIT_ASYNC_TEST(Client, RedirectsEnd) {
  const std::string again =
      "HTTP/1.1 307 Temporary Redirect\r\nLocation: /\r\nContent-Length: 0\r\n\r\n";
  ScriptedServer server{io.get_executor(), {{again, again, again, again}}};
  ClientOptions options;
  options.limits.redirects_max = 2;
  Client client{options};
  const auto endless = co_await get(client, server.url());
  TACIT_CO_ASSERT(!endless);
  EXPECT_EQ(endless.error().what(), "too many redirects");
  options.limits.redirects_max = 0;
  Client stubborn{options};
  co_await server.stop();
  ScriptedServer second{io.get_executor(), {{again}}};
  EXPECT_EQ((co_await get(stubborn, second.url())).value_or("failed"), "307 ");
  co_await second.stop();
}

TACIT_ASYNC_TEST(Client, PlainRequestsThroughAProxy) {
  ScriptedServer proxy{io.get_executor(), {{kOk, kOk}}};
  ClientOptions options;
  options.http_proxy = "http://user:p%40ss@" + proxy.origin();
  options.no_proxy = "localhost,.internal";
  Client client{options};
  EXPECT_EQ((co_await get(client, "http://one.example/x")).value_or("failed"), "200 ok");
  EXPECT_EQ((co_await get(client, "http://two.example:81/y")).value_or("failed"), "200 ok");
  TACIT_CO_ASSERT(proxy.heads.size() == 2);
  EXPECT_EQ(proxy.connections, 1);
  EXPECT_EQ(proxy.heads[0].substr(0, 34), "GET http://one.example/x HTTP/1.1\r");
  EXPECT_NE(proxy.heads[0].find("proxy-authorization: Basic dXNlcjpwQHNz\r\n"), std::string::npos);
  EXPECT_NE(proxy.heads[1].find("host: two.example:81\r\n"), std::string::npos);
  co_await proxy.stop();
}

TACIT_ASYNC_TEST(Client, ErrorsOfTheUrlAndTheNetwork) {
  Client client;
  for (const char* url : {"", "/path", "ftp://a/", "http://", "http://user@a/", "http://a b/",
                          "http://a:99999/", "http://a:0/", "http://a/\r\nx: y"}) {
    const auto got = co_await get(client, url);
    TACIT_CO_ASSERT(!got);
    EXPECT_EQ(got.error().code(), Code::invalid_argument) << url;
  }
  Headers headers;
  headers.add("x", "a\r\nb: c");
  EXPECT_FALSE(
      (co_await client.send("GET", "http://127.0.0.1:1/", headers, {}, soon())).has_value());
  EXPECT_FALSE((co_await get(client, "http://127.0.0.1:1/", "G T")).has_value());
  const auto refused = co_await get(client, "http://127.0.0.1:1/");
  TACIT_CO_ASSERT(!refused);
  EXPECT_EQ(refused.error().code(), Code::unavailable);
}

TACIT_ASYNC_TEST(Client, DeadlinesAndLimits) {
  ScriptedServer silent{io.get_executor(), {{"", ""}}};
  Client client;
  const auto late =
      co_await client.send("GET", silent.url(), {}, {}, Deadline::after(Milliseconds{10}));
  EXPECT_FALSE(late.has_value());
  co_await silent.stop();
  ScriptedServer big{io.get_executor(),
                     {{"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789"}, {kOk}}};
  auto response = co_await client.send("GET", big.url(), {}, {}, soon());
  TACIT_CO_ASSERT(response);
  const auto over = co_await read_all(**response, 9, soon());
  TACIT_CO_ASSERT(!over);
  EXPECT_EQ(over.error().code(), Code::too_large);
  co_await big.stop();
}

// Our client against our server.
class EndToEnd {
 public:
  explicit EndToEnd(async::Endpoint endpoint,
                    std::shared_ptr<async::TlsServerContext> tls = nullptr)
      : server{shard, handler, log_, std::make_shared<Server::Shared>(),
               ServerOptions{.listen = std::move(endpoint), .tls = std::move(tls), .limits = {}}},
        group_{shard.io.get_executor()} {
    EXPECT_TRUE(server.listen(true));
  }
  void run(Task<> body) {
    group_.spawn(server.run());
    async::run_task(shard.io, std::move(body));
    async::testing_detail::drive(shard.io, group_, Seconds{30});  // the body has drained the server
  }
  async::Shard shard{0};
  TestHandler handler;

 private:
  NullLogger log_;

 public:
  Server server;

 private:
  async::TaskGroup group_;
};

Task<> many_requests(EndToEnd& test, ClientOptions options, std::string base) {
  Client client{std::move(options)};
  const std::string body(300'000, 'b');
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ((co_await get(client, base + "/x")).value_or("failed"), "200 hello");
    EXPECT_TRUE((co_await get(client, base + "/echo", "POST", body)).value_or("failed") ==
                "200 " + body);
    EXPECT_EQ((co_await get(client, base + "/stream")).value_or("failed"),
              "200 data: 1\n\ndata: 2\n\ndata: 3\n\n");
    EXPECT_EQ((co_await get(client, base + "/x", "HEAD")).value_or("failed"), "200 ");
  }
  const auto cut = co_await get(client, base + "/unfinished");
  EXPECT_FALSE(cut.has_value());
  {  // dropping a response tells the server
    auto waiting = co_await client.send("GET", base + "/stream-and-wait", {}, {}, soon());
    EXPECT_TRUE(waiting.has_value());
    while (!test.handler.waiting) (void)co_await async::sleep_for(Milliseconds{1});
  }
  while (test.handler.waiting) (void)co_await async::sleep_for(Milliseconds{1});
  EXPECT_EQ(test.handler.ended_with, Code::cancelled);
  EXPECT_EQ(co_await test.server.drain(soon()), 0U);
}

TEST(EndToEnd, PlainTcp) {
  EndToEnd test{{.host = "127.0.0.1"}};
  test.run(many_requests(test, {}, "http://127.0.0.1:" + std::to_string(test.server.port())));
}

TEST(EndToEnd, UnixSocket) {
  const std::string path = std::filesystem::path{::testing::TempDir()} /
                           ("tacit-http-" + std::to_string(::getpid()) + ".sock");
  EndToEnd test{{.unix_path = path}};
  ClientOptions options;
  options.unix_path = path;
  test.run(many_requests(test, options, "http://whatever.example"));
}

TEST(EndToEnd, Tls) {
  const async::TestCertificate certificate{"127.0.0.1"};
  auto server_tls =
      async::TlsServerContext::from_files(certificate.certificate_file(), certificate.key_file());
  auto client_tls = async::TlsClientContext::create({.ca_file = certificate.certificate_file()});
  ASSERT_TRUE(server_tls && client_tls);
  EndToEnd test{{.host = "127.0.0.1"}, *server_tls};
  ClientOptions options;
  options.tls = *client_tls;
  test.run(many_requests(test, options, "https://127.0.0.1:" + std::to_string(test.server.port())));
}

// A proxy for one CONNECT: answers it, then carries bytes both ways.
Task<> carry(async::Stream& from, async::Stream& to) {
  Bytes buffer(16 * 1024);
  for (;;) {
    const auto n = co_await from.read_some(buffer, soon());
    if (!n || *n == 0) break;
    if (!co_await to.write(BytesView{buffer}.first(*n), soon())) break;
  }
  co_await to.shutdown(soon());
}

Task<> connect_proxy(async::Listener& listener, std::uint16_t target, std::string& seen) {
  auto accepted = co_await listener.accept();
  TACIT_CO_ASSERT(accepted);
  std::string head;
  std::byte one{};
  while (!head.ends_with("\r\n\r\n")) {  // not a byte further: the rest is TLS
    const auto n = co_await (*accepted)->read_some({&one, 1}, soon());
    TACIT_CO_ASSERT(n && *n == 1);
    head += static_cast<char>(one);
  }
  seen = head;
  auto server = co_await async::connect({.host = "127.0.0.1", .port = target}, nullptr, soon());
  TACIT_CO_ASSERT(server);
  EXPECT_TRUE(
      (co_await (*accepted)->write(as_bytes("HTTP/1.1 200 Connection established\r\n\r\n"), soon()))
          .has_value());
  async::TaskGroup group{co_await asio::this_coro::executor};
  group.spawn(carry(**accepted, **server));
  co_await carry(**server, **accepted);
  (void)co_await group.join(soon());
}

Task<> through_connect_proxy(EndToEnd& test, std::shared_ptr<async::TlsClientContext> tls) {
  const auto executor = co_await asio::this_coro::executor;
  auto listener = async::Listener::bind(executor, {.host = "127.0.0.1"});
  TACIT_CO_ASSERT(listener);
  std::string seen;
  async::TaskGroup group{executor};
  group.spawn(connect_proxy(**listener, test.server.port(), seen));
  const auto authority = "127.0.0.1:" + std::to_string(test.server.port());
  {
    ClientOptions options;
    options.tls = std::move(tls);
    options.https_proxy = "http://127.0.0.1:" + std::to_string((*listener)->port());
    Client client{options};
    EXPECT_EQ((co_await get(client, "https://" + authority + "/x")).value_or("failed"),
              "200 hello");
    EXPECT_EQ((co_await get(client, "https://" + authority + "/x")).value_or("failed"),
              "200 hello");
  }
  EXPECT_EQ(seen.substr(0, seen.find('\r')), "CONNECT " + authority + " HTTP/1.1");
  EXPECT_TRUE(co_await group.join(soon()));
  EXPECT_EQ(co_await test.server.drain(soon()), 0U);
}

TEST(EndToEnd, TlsThroughAProxy) {
  const async::TestCertificate certificate{"127.0.0.1"};
  auto server_tls =
      async::TlsServerContext::from_files(certificate.certificate_file(), certificate.key_file());
  auto client_tls = async::TlsClientContext::create({.ca_file = certificate.certificate_file()});
  ASSERT_TRUE(server_tls && client_tls);
  EndToEnd test{{.host = "127.0.0.1"}, *server_tls};
  test.run(through_connect_proxy(test, *client_tls));
}

Task<> uploads(EndToEnd& test) {
  {
    Client client;
    const auto url = "http://127.0.0.1:" + std::to_string(test.server.port());
    const std::string piece(100'000, 'x');
    for (int i = 0; i < 2; ++i) {  // the second on the first one's connection
      auto upload = co_await client.start("POST", url + "/echo", {}, soon());
      TACIT_CO_ASSERT(upload);
      EXPECT_TRUE(co_await (*upload)->write(as_bytes("a"), soon()));
      EXPECT_TRUE(co_await (*upload)->write({}, soon()));
      EXPECT_TRUE(co_await (*upload)->write(as_bytes(piece), soon()));
      const auto response = co_await (*upload)->finish(soon());
      TACIT_CO_ASSERT(response);
      const auto body = co_await read_all(**response, 1 << 20, soon());
      TACIT_CO_ASSERT(body);
      EXPECT_EQ(as_text(*body), "a" + piece);
      EXPECT_FALSE(co_await (*upload)->finish(soon()));
    }
    {
      auto given_up = co_await client.start("POST", url + "/echo", {}, soon());
      TACIT_CO_ASSERT(given_up);
      EXPECT_TRUE(co_await (*given_up)->write(as_bytes("half"), soon()));
    }
  }
  EXPECT_EQ(co_await test.server.drain(soon()), 0U);  // what was given up holds nobody
}

TEST(EndToEnd, UploadsPieceByPiece) {
  EndToEnd test{{.host = "127.0.0.1"}, nullptr};
  test.run(uploads(test));
}

TEST(Url, Parts) {
  const auto url = parse_url("HTTPS://EXAMPLE.com:8443?q=%20");
  ASSERT_TRUE(url);
  EXPECT_TRUE(url->secure);
  EXPECT_EQ(url->host, "example.com");
  EXPECT_EQ(url->authority, "example.com:8443");
  EXPECT_EQ(url->target, "/?q=%20");
  const auto v6 = parse_url("http://[::1]:80/a#fragment");
  ASSERT_TRUE(v6);
  EXPECT_EQ(v6->host, "::1");
  EXPECT_EQ(v6->authority, "[::1]");
  EXPECT_EQ(v6->text(), "http://[::1]/a");
  const auto deep = parse_url("https://example.com/a/b/c?d");
  ASSERT_TRUE(deep);
  EXPECT_EQ(resolve_url(*deep, "../x?y")->text(), "https://example.com/a/x?y");
  EXPECT_EQ(resolve_url(*deep, "/x%20y")->text(), "https://example.com/x%20y");
  EXPECT_EQ(resolve_url(*url, "//other/z")->text(), "https://other/z");
  EXPECT_FALSE(resolve_url(*url, "javascript:alert(1)"));
}

TEST(Url, NoProxy) {
  EXPECT_TRUE(is_excluded("a.example", "*"));
  EXPECT_TRUE(is_excluded("a.example", "x, .example"));
  EXPECT_TRUE(is_excluded("a.example", "A.example"));
  EXPECT_TRUE(is_excluded("b.a.example", "a.example"));
  EXPECT_FALSE(is_excluded("ba.example", "a.example"));
  EXPECT_FALSE(is_excluded("example", "a.example"));
  EXPECT_FALSE(is_excluded("a.example", ""));
  EXPECT_FALSE(parse_proxy("socks5://a:1"));
  EXPECT_FALSE(parse_proxy("a:1"));
}

}  // namespace
}  // namespace tacit::http
