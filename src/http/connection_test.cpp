#include <sys/socket.h>

#include "http/error_body.hpp"
#include "http/http_testing.hpp"
#include "http/server.hpp"

namespace tacit::http {
namespace {

// A connection being served over a socket pair.
class Served {
 public:
  Served(asio::io_context& io, ServerLimits limits = {})
      : limits_{limits}, group_{io.get_executor()}, client{connect(io)} {}

  // The client leaves; the connection must end by itself.
  Task<> leave() {
    client.stream().close();
    co_await ended();
  }
  Task<> ended() { EXPECT_TRUE(co_await group_.join(soon())); }

 private:
  std::unique_ptr<async::Stream> connect(asio::io_context& io) {
    int ends[2] = {-1, -1};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    auto server = async::wrap_fd(io.get_executor(), UniqueFd{ends[0]}).value();
    group_.spawn(serve_connection(std::move(server), Carrier::unix_socket, handler, log_, limits_));
    return async::wrap_fd(io.get_executor(), UniqueFd{ends[1]}).value();
  }
  ServerLimits limits_;
  NullLogger log_;
  async::TaskGroup group_;

 public:
  TestHandler handler;
  RawClient client;
};

TACIT_ASYNC_TEST(Connection, KeepAliveAndHeaders) {
  Served served{io};
  for (int i = 0; i < 3; ++i) {
    co_await served.client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    const auto response = co_await served.client.read_response();
    EXPECT_EQ(response.substr(0, 17), "HTTP/1.1 200 OK\r\n");
    EXPECT_EQ(body_of(response), "hello");
    EXPECT_NE(response.find(" GMT\r\n"), std::string::npos);
    EXPECT_NE(response.find("x-request-id: " + served.handler.last_id + "\r\n"), std::string::npos);
    EXPECT_EQ(served.handler.last_id.size(), 20U);
    EXPECT_EQ(response.find("connection:"), std::string::npos);
  }
  EXPECT_EQ(served.handler.served, 3);
  EXPECT_EQ(served.handler.last_carrier, Carrier::unix_socket);
  co_await served.leave();
}

TACIT_ASYNC_TEST(Connection, RequestIdOfTheCaller) {
  Served served{io};
  co_await served.client.send("GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: my-id.1\r\n\r\n");
  EXPECT_NE((co_await served.client.read_response()).find("x-request-id: my-id.1\r\n"),
            std::string::npos);
  co_await served.client.send("GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: \"no\" good\r\n\r\n");
  EXPECT_EQ((co_await served.client.read_response()).find("no\" good"), std::string::npos);
  co_await served.leave();
}

TACIT_ASYNC_TEST(Connection, ClosesWhenAskedTo) {
  for (const char* request :
       {"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "GET / HTTP/1.0\r\n\r\n",
        "GET /closing HTTP/1.1\r\nHost: a\r\n\r\n"}) {
    Served served{io};
    co_await served.client.send(request);
    const auto all = co_await served.client.read_to_end();
    EXPECT_EQ(body_of(all), "hello");
    EXPECT_NE(all.find("connection: close\r\n"), std::string::npos);
    co_await served.ended();
  }
  Served served{io};
  co_await served.client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_NE((co_await served.client.read_response()).find("connection: keep-alive\r\n"),
            std::string::npos);
  co_await served.client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(status_of(co_await served.client.read_response()), 200);
  co_await served.leave();
}

TACIT_ASYNC_TEST(Connection, PipelinedRequestsAreAnsweredInOrder) {
  Served served{io};
  std::string requests;
  for (int i = 0; i < 50; ++i) {
    const auto text = "request " + std::to_string(i);
    requests += "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(text.size()) +
                "\r\n\r\n" + text;
  }
  co_await served.client.send(requests);
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(body_of(co_await served.client.read_response()), "request " + std::to_string(i));
  }
  co_await served.leave();
}

// The second request arrives while the first one's handler works: the watcher keeps it.
TACIT_ASYNC_TEST(Connection, PipelinedBehindARunningHandler) {
  Served served{io};
  co_await served.client.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
  while (!served.handler.waiting) co_await async::yield();
  co_await served.client.send("GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
  (void)co_await async::sleep_for(Milliseconds{5});
  served.handler.go->notify();
  EXPECT_EQ(body_of(co_await served.client.read_response()), "went");
  EXPECT_EQ(body_of(co_await served.client.read_response()), "hello");
  co_await served.leave();
}

TACIT_ASYNC_TEST(Connection, BodiesByLengthAndByChunks) {
  Served served{io};
  co_await served.client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
  co_await served.client.send("ab");
  co_await served.client.send("cde");
  EXPECT_EQ(body_of(co_await served.client.read_response()), "abcde");
  co_await served.client.send(
      "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n");
  co_await served.client.send(
      "2\r\nde\r\n0\r\nTrailer: dropped\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(body_of(co_await served.client.read_response()), "abcde");
  EXPECT_EQ(body_of(co_await served.client.read_response()), "hello");
  co_await served.leave();
}

Task<> send_all(RawClient& client, std::string text) { co_await client.send(text); }

TACIT_ASYNC_TEST(Connection, BigBodiesBothWays) {
  ServerLimits limits;
  limits.body_bytes_max = 16U << 20U;
  Served served{io, limits};
  std::string body(5'000'000, 'a');
  for (std::size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>('a' + i % 23);
  async::TaskGroup group{io.get_executor()};
  group.spawn(send_all(served.client,
                       "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n" + body));
  EXPECT_TRUE(body_of(co_await served.client.read_response()) == body);
  EXPECT_TRUE(co_await group.join(soon()));
  std::string chunked = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (std::size_t at = 0; at < body.size(); at += 77'777) {
    const auto part = body.substr(at, 77'777);
    std::array<char, 16> size{};
    const auto end = std::to_chars(size.data(), size.data() + size.size(), part.size(), 16).ptr;
    chunked += std::string{size.data(), end} + "\r\n" + part + "\r\n";
  }
  chunked += "0\r\n\r\n";
  async::TaskGroup second{io.get_executor()};
  second.spawn(send_all(served.client, std::move(chunked)));
  EXPECT_TRUE(body_of(co_await served.client.read_response()) == body);
  EXPECT_TRUE(co_await second.join(soon()));
  co_await served.leave();
}

TACIT_ASYNC_TEST(Connection, StreamsInChunksAtOnce) {
  Served served{io};
  co_await served.client.send("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
  const auto head = co_await served.client.read_until("\r\n\r\n");
  EXPECT_NE(head.find("transfer-encoding: chunked\r\n"), std::string::npos);
  EXPECT_EQ(co_await served.client.read_until("0\r\n\r\n"),
            "9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n9\r\ndata: 3\n\n\r\n0\r\n\r\n");
  co_await served.client.send("GET /stream-and-wait HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_NE(co_await served.client.read_until("first "), "");  // before the handler has ended
  served.handler.go->notify();
  EXPECT_EQ(co_await served.client.read_until("0\r\n\r\n"), "\r\n6\r\nsecond\r\n0\r\n\r\n");
  co_await served.leave();
}

TACIT_ASYNC_TEST(Connection, StreamsToOldClientsUntilTheEnd) {
  Served served{io};
  co_await served.client.send("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  const auto all = co_await served.client.read_to_end();
  EXPECT_EQ(body_of(all), "data: 1\n\ndata: 2\n\ndata: 3\n\n");
  EXPECT_NE(all.find("connection: close\r\n"), std::string::npos);
  EXPECT_EQ(all.find("chunked"), std::string::npos);
  co_await served.ended();
}

TACIT_ASYNC_TEST(Connection, HeadAndNoContentHaveNoBody) {
  Served served{io};
  co_await served.client.send(
      "HEAD /x HTTP/1.1\r\nHost: a\r\n\r\nHEAD /stream HTTP/1.1\r\nHost: a\r\n\r\n"
      "GET /no-content HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  const auto first = co_await served.client.read_until("\r\n\r\n");
  EXPECT_NE(first.find("content-length: 5\r\n"), std::string::npos);
  EXPECT_NE((co_await served.client.read_until("\r\n\r\n")).find("chunked"), std::string::npos);
  const auto last = co_await served.client.read_to_end();
  EXPECT_EQ(status_of(last), 204);
  EXPECT_EQ(last.find("content-length"), std::string::npos);
  EXPECT_EQ(body_of(last), "");
  co_await served.ended();
}

TACIT_ASYNC_TEST(Connection, ContinueIsSentAtTheFirstReadOnly) {
  Served served{io};
  co_await served.client.send(
      "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(co_await served.client.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  co_await served.client.send("ok");
  EXPECT_EQ(body_of(co_await served.client.read_response()), "ok");
  // A handler that does not want the body: no 100, and the connection ends, since nobody can tell
  // whether the body will come.
  co_await served.client.send(
      "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  const auto all = co_await served.client.read_to_end();
  EXPECT_EQ(status_of(all), 200);
  EXPECT_NE(all.find("connection: close\r\n"), std::string::npos);
  served.client.stream().close();
  co_await served.ended();
}

TACIT_ASYNC_TEST(Connection, UnreadBodies) {
  {  // small: drained, and the connection goes on
    Served served{io};
    co_await served.client.send(
        "POST /read-some HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n" +
        std::string(1000, 'x') + "GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    EXPECT_EQ(body_of(co_await served.client.read_response()), "some");
    EXPECT_EQ(body_of(co_await served.client.read_response()), "hello");
    co_await served.leave();
  }
  {  // big: the response says that the connection ends, and arrives
    Served served{io};
    async::TaskGroup group{io.get_executor()};
    group.spawn(
        send_all(served.client, "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n" +
                                    std::string(500'000, 'x')));
    const auto all = co_await served.client.read_to_end();
    EXPECT_EQ(body_of(all), "hello");
    EXPECT_NE(all.find("connection: close\r\n"), std::string::npos);
    EXPECT_TRUE(co_await group.join(soon()));
    co_await served.leave();
  }
}

TACIT_ASYNC_TEST(Connection, RefusalsSayWhyAndClose) {
  ServerLimits limits;
  limits.head_bytes_max = 1000;
  limits.body_bytes_max = 1000;
  const std::array<std::pair<std::string, int>, 6> requests{{
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: "
       "chunked\r\n\r\n0\r\n\r\nGET",
       400},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n" + std::string(1001, 'x'), 413},
      {"GET /" + std::string(2000, 'x'), 431},
      {"POST / HTTP/1.1\r\nHost: a\r\nExpect: the-unexpected\r\n\r\n", 417},
      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      {"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 501},
  }};
  for (const auto& [request, status] : requests) {
    Served served{io, limits};
    co_await served.client.send(request);
    const auto all = co_await served.client.read_to_end();
    EXPECT_EQ(status_of(all), status) << request.substr(0, 80);
    EXPECT_NE(all.find("connection: close\r\n"), std::string::npos);
    EXPECT_NE(all.find("content-type: application/json\r\n"), std::string::npos);
    const auto body = body_of(all);
    EXPECT_EQ(body.substr(0, 21), R"({"error":{"message":")") << body;
    EXPECT_NE(body.find(R"(","param":null,"code":")"), std::string::npos) << body;
    EXPECT_EQ(served.handler.served, 0);
    co_await served.leave();
  }
}

TACIT_ASYNC_TEST(Connection, BodyOverTheLimitInChunks) {
  ServerLimits limits;
  limits.body_bytes_max = 10;
  Served served{io, limits};
  co_await served.client.send(
      "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n");
  const auto all = co_await served.client.read_to_end();
  EXPECT_EQ(status_of(all), 413);
  EXPECT_NE(all.find("connection: close\r\n"), std::string::npos);
  EXPECT_EQ(served.handler.ended_with, Code::too_large);
  co_await served.leave();
}

TACIT_ASYNC_TEST(Connection, BrokenBodies) {
  for (const char* rest : {"+1\r\na\r\n0\r\n\r\n", "1\r\nab\r\n0\r\n\r\n"}) {
    Served served{io};
    co_await served.client.send(
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    co_await served.client.send(rest);
    const auto all = co_await served.client.read_to_end();
    EXPECT_EQ(status_of(all), 400);
    EXPECT_EQ(served.handler.ended_with, Code::malformed);
    co_await served.leave();
  }
  Served served{io};
  co_await served.client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
  co_await served.leave();
  EXPECT_EQ(served.handler.ended_with, Code::malformed);
}

TACIT_ASYNC_TEST(Connection, HandlersThatDoNotAnswerOrFinish) {
  for (const char* path : {"/nothing", "/bad-header"}) {
    Served served{io};
    co_await served.client.send("GET " + std::string{path} + " HTTP/1.1\r\nHost: a\r\n\r\n");
    const auto all = co_await served.client.read_to_end();
    EXPECT_EQ(status_of(all), 500) << path;
    EXPECT_EQ(all.find("set-cookie"), std::string::npos);
    EXPECT_NE(all.find("server_error"), std::string::npos);
    co_await served.ended();
  }
  Served served{io};
  co_await served.client.send("GET /unfinished HTTP/1.1\r\nHost: a\r\n\r\n");
  const auto all = co_await served.client.read_to_end();
  EXPECT_EQ(body_of(all), "4\r\nhalf\r\n");  // no last chunk: the client sees that it was cut
  co_await served.ended();
}

TACIT_ASYNC_TEST(Connection, AClientThatLeavesCancelsTheHandler) {
  for (const char* path : {"/wait", "/stream-and-wait"}) {
    for (const bool half_close : {false, true}) {
      Served served{io};
      co_await served.client.send("POST " + std::string{path} +
                                  " HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
      while (!served.handler.waiting) co_await async::yield();
      if (half_close) co_await served.client.stream().shutdown(soon());
      if (!half_close) served.client.stream().close();
      co_await served.ended();
      EXPECT_EQ(served.handler.ended_with, Code::cancelled) << path;
    }
  }
}

TACIT_ASYNC_TEST(Connection, AStalledReaderStopsTheWriterAndIsCutOff) {
  ServerLimits limits;
  limits.write_timeout = Seconds{1};
  Served served{io, limits};
  co_await served.client.send("GET /flood HTTP/1.1\r\nHost: a\r\n\r\n");
  (void)co_await async::sleep_for(Milliseconds{100});
  const auto after_a_while = served.handler.flooded_bytes;
  (void)co_await async::sleep_for(Milliseconds{100});
  EXPECT_EQ(served.handler.flooded_bytes, after_a_while);
  EXPECT_LT(after_a_while, 8U << 20U);
  EXPECT_FALSE(served.handler.ended_with);
  co_await served.ended();
  EXPECT_EQ(served.handler.ended_with, Code::deadline_exceeded);
}

TACIT_ASYNC_TEST(Connection, SlowHeadsAndIdleConnectionsEnd) {
  ServerLimits limits;
  limits.head_timeout = Seconds{1};
  {
    Served served{io, limits};
    async::TaskGroup group{io.get_executor()};
    group.spawn([](RawClient& client) -> Task<> {
      for (const char c : std::string_view{"GET / HTTP/1.1\r\nX: slow"}) {
        co_await client.send({&c, 1});
        (void)co_await async::sleep_for(Milliseconds{150});
      }
    }(served.client));
    const auto all = co_await served.client.read_to_end();
    EXPECT_EQ(status_of(all), 408);
    EXPECT_NE(all.find("connection: close\r\n"), std::string::npos);
    group.cancel();
    EXPECT_TRUE(co_await group.join(soon()));
    co_await served.leave();
  }
  limits.idle_timeout = Seconds{0};
  Served served{io, limits};
  EXPECT_EQ(co_await served.client.read_to_end(), "");
  co_await served.ended();
}

TACIT_ASYNC_TEST(Connection, SlowBodiesEnd) {
  ServerLimits limits;
  limits.body_timeout = Seconds{0};
  Served served{io, limits};
  co_await served.client.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
  EXPECT_EQ(status_of(co_await served.client.read_to_end()), 400);
  EXPECT_EQ(served.handler.ended_with, Code::deadline_exceeded);
  co_await served.leave();
}

TACIT_ASYNC_TEST(Connection, ExchangesEndInTime) {
  ServerLimits limits;
  limits.exchange_timeout = Seconds{0};
  Served served{io, limits};
  co_await served.client.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
  const auto all = co_await served.client.read_to_end();
  // The handler, cancelled, tried to respond in vain; the server did it.
  EXPECT_EQ(status_of(all), 504) << all;
  EXPECT_EQ(served.handler.ended_with, Code::cancelled);
  co_await served.ended();
}

TEST(ErrorBody, Shape) {
  const auto body =
      error_body(413, Error{Code::too_large, "the request body is too large"}.with("limit", 10));
  const std::string expected =
      R"x({"error":{"message":"the request body is too large (limit 10)","type":"invalid_request_error",)x"
      R"("param":null,"code":"too_large"}})";
  EXPECT_EQ(body, expected);
}

}  // namespace
}  // namespace tacit::http
