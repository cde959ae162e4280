// For tests of http: a handler with a few behaviours, and a client that sends raw bytes.
#pragma once

#include <array>
#include <charconv>
#include <string>

#include "async/async_testing.hpp"
#include "async/stream.hpp"
#include "async/wait.hpp"
#include "http/exchange.hpp"

namespace tacit::http {

inline Deadline soon() { return Deadline::after(Seconds{30}); }

// TestHandler behaves as the path says; what it saw is left in its fields.
class TestHandler final : public Handler {
 public:
  Task<> serve(Exchange& exchange) override {
    ++served;
    last_id = exchange.id();
    last_carrier = exchange.carrier();
    const auto path = exchange.request().path();
    if (path == "/echo") co_return co_await echo(exchange);
    if (path == "/stream") co_return co_await stream(exchange);
    if (path == "/flood") co_return co_await flood(exchange);
    if (path == "/wait") co_return co_await wait(exchange);
    if (path == "/stream-and-wait") co_return co_await stream_and_wait(exchange);
    if (path == "/read-some") co_return co_await read_some(exchange);
    if (path == "/nothing") co_return;
    if (path == "/unfinished") {
      (void)co_await exchange.start({});
      (void)co_await exchange.write(as_bytes("half"));
      co_return;
    }
    ResponseHead head;
    if (path == "/no-content") head.status = 204;
    if (path == "/bad-header") head.headers.add("x", "a\r\nset-cookie: b");
    if (path == "/closing") head.headers.add("connection", "close");
    (void)co_await exchange.respond(std::move(head), as_bytes("hello"));
  }

  int served = 0;
  std::string last_id;
  Carrier last_carrier = Carrier::sealed;
  std::size_t flooded_bytes = 0;
  std::optional<Code> ended_with;
  std::optional<async::Signal> go;  // wakes /stream-and-wait and /wait
  bool waiting = false;

 private:
  Task<> echo(Exchange& exchange) {
    const auto body = co_await read_body(exchange, 64U << 20U);
    if (!body) {
      ended_with = body.error().code();
      ResponseHead head{.status = body.error().code() == Code::too_large ? 413 : 400,
                        .headers = {}};
      (void)co_await exchange.respond(std::move(head), {});
      co_return;
    }
    (void)co_await exchange.respond({}, as_bytes(body->reveal()));
  }
  Task<> stream(Exchange& exchange) {
    ResponseHead head;
    head.headers.add("content-type", "text/event-stream");
    (void)co_await exchange.start(std::move(head));
    for (const char* part : {"data: 1\n\n", "data: 2\n\n", "data: 3\n\n"}) {
      (void)co_await exchange.write(as_bytes(part));
    }
    (void)co_await exchange.finish();
  }
  Task<> flood(Exchange& exchange) {
    (void)co_await exchange.start({});
    const Bytes block(16 * 1024, std::byte{'x'});
    for (;;) {
      const auto written = co_await exchange.write(BytesView{block});
      if (!written) {
        ended_with = written.error().code();
        co_return;
      }
      flooded_bytes += block.size();
    }
  }
  Task<> wait_for_go() {
    go.emplace(co_await asio::this_coro::executor);
    waiting = true;
    const auto woken = co_await go->wait(Deadline::after(Seconds{1000}));
    waiting = false;
    if (!woken) ended_with = woken.error().code();
  }
  Task<> wait(Exchange& exchange) {
    co_await wait_for_go();
    (void)co_await exchange.respond({}, as_bytes("went"));
  }
  Task<> stream_and_wait(Exchange& exchange) {
    (void)co_await exchange.start({});
    (void)co_await exchange.write(as_bytes("first "));
    co_await wait_for_go();
    (void)co_await exchange.write(as_bytes("second"));
    (void)co_await exchange.finish();
  }
  Task<> read_some(Exchange& exchange) {
    std::array<std::byte, 4> buffer;
    (void)co_await exchange.read_some(buffer);
    (void)co_await exchange.respond({}, as_bytes("some"));
  }
};

// RawClient speaks bytes.
class RawClient {
 public:
  explicit RawClient(std::unique_ptr<async::Stream> stream) : stream_{std::move(stream)} {}

  async::Stream& stream() { return *stream_; }
  Task<> send(std::string_view text) { (void)co_await stream_->write(as_bytes(text), soon()); }
  // Everything until the server closes.
  Task<std::string> read_to_end() {
    while (co_await read_more()) {}
    co_return std::exchange(pending_, {});
  }
  // Up to and including `mark`; everything when the server closes before.
  Task<std::string> read_until(std::string_view mark) {
    std::size_t at = std::string::npos;
    while ((at = pending_.find(mark)) == std::string::npos) {
      if (!co_await read_more()) co_return std::exchange(pending_, {});
    }
    auto out = pending_.substr(0, at + mark.size());
    pending_.erase(0, out.size());
    co_return out;
  }
  // A whole response with Content-Length.
  Task<std::string> read_response() {
    auto head = co_await read_until("\r\n\r\n");
    std::size_t length = 0;
    if (const auto at = head.find("content-length: "); at != std::string::npos) {
      std::from_chars(head.data() + at + 16, head.data() + head.size(), length);
    }
    while (pending_.size() < length && co_await read_more()) {}
    head += pending_.substr(0, length);
    pending_.erase(0, length);
    co_return head;
  }

 private:
  Task<bool> read_more() {
    std::array<std::byte, 16 * 1024> buffer;
    const auto n = co_await stream_->read_some(buffer, soon());
    if (!n || *n == 0) co_return false;
    pending_ += as_text(BytesView{buffer}.first(*n));
    co_return true;
  }
  std::unique_ptr<async::Stream> stream_;
  std::string pending_;
};

inline int status_of(std::string_view response) {
  int status = 0;
  if (response.size() > 12) std::from_chars(response.data() + 9, response.data() + 12, status);
  return status;
}

inline std::string body_of(const std::string& response) {
  const auto at = response.find("\r\n\r\n");
  return at == std::string::npos ? "" : response.substr(at + 4);
}

}  // namespace tacit::http
