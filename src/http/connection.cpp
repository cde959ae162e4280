#include "http/connection.hpp"

#include <sys/random.h>

#include <chrono>
#include <cstdlib>
#include <ctime>

#include "core/text.hpp"
#include "http/error_body.hpp"
#include "http/server_exchange.hpp"

namespace tacit::http {

namespace {

constexpr std::size_t kHeadReadBytes = 4096;
constexpr std::uint64_t kDrainBytesMax = 64 * 1024;
constexpr std::size_t kLingerBytesMax = 256 * 1024;
constexpr Seconds kLingerTime{2};
constexpr Seconds kLastWordsTime{5};
constexpr std::size_t kIdBytes = 10;

}  // namespace

std::string_view ServerContext::date() {
  const auto now = std::time(nullptr);
  if (now != date_second_) {
    date_second_ = now;
    std::tm utc{};
    ::gmtime_r(&now, &utc);
    std::array<char, 40> text{};
    date_.assign(text.data(),
                 std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &utc));
  }
  return date_;
}

std::string ServerContext::new_id() {
  if (random_left_ == 0) {
    const auto got = ::getrandom(random_.data(), random_.size(), 0);
    if (got != static_cast<ssize_t>(random_.size())) std::abort();  // no ids: no safe way on
    random_left_ = random_.size();
  }
  random_left_ -= kIdBytes;
  return to_hex(BytesView{random_}.subspan(random_left_, kIdBytes));
}

Connection::Connection(std::unique_ptr<async::Stream> stream, Carrier carrier,
                       ServerContext& context)
    : stream_{std::move(stream)},
      carrier_{carrier},
      peer_{stream_->peer().str()},
      context_{context} {}

Task<> Connection::run() {
  auto next = Next::keep;
  while (next == Next::keep) {
    if (!co_await wait_for_request()) {
      next = Next::close;
      break;
    }
    auto request = co_await read_request();
    if (!request) {
      next = gentle_close_ ? Next::close_gently : Next::close;
      break;
    }
    next = co_await serve(*std::move(request));
  }
  if (next == Next::close_gently) {
    co_await linger();
  } else {
    co_await stream_->shutdown(Deadline::after(kLingerTime));
  }
  stream_->close();
}

Task<bool> Connection::wait_for_request() {
  if (!input_.empty()) co_return true;
  if (context_.draining) co_return false;
  input_.release();
  idle_ = true;
  const auto readable =
      co_await stream_->wait_readable(Deadline::after(context_.limits.idle_timeout));
  idle_ = false;
  if (readable) co_return true;
  if (!context_.draining || readable.error().code() != Code::deadline_exceeded) co_return false;
  // Woken by drain. A request that came at the same moment gets its answer.
  const auto read =
      co_await stream_->read_some(input_.prepare(kHeadReadBytes), Deadline::at(SteadyTime{}));
  if (!read || *read == 0) co_return false;
  input_.commit(*read);
  co_return true;
}

Task<std::optional<ParsedRequest>> Connection::read_request() {
  const auto& limits = context_.limits;
  HeadScanner scanner{{.head_bytes_max = limits.head_bytes_max, .headers_max = limits.headers_max}};
  const auto deadline = Deadline::after(limits.head_timeout);
  std::optional<Refusal> refusal;
  while (!refusal) {
    if (!input_.empty()) {
      const auto size = scanner.scan(as_text(input_.view()));
      if (!size) {
        refusal = size.error();
        break;
      }
      if (*size) {
        auto request =
            parse_request_head(as_text(input_.view().first(**size)), limits.body_bytes_max);
        input_.consume(**size);
        if (request) co_return std::move(request).value();
        refusal = std::move(request).error();
        break;
      }
    }
    const auto read = co_await stream_->read_some(input_.prepare(kHeadReadBytes), deadline);
    if (read && *read > 0) {
      input_.commit(*read);
    } else if (!read && read.error().code() == Code::deadline_exceeded && !input_.empty()) {
      refusal =
          Refusal{.status = 408, .error = {Code::deadline_exceeded, "request head took too long"}};
    } else {
      co_return std::nullopt;  // the client left
    }
  }
  if (context_.shared) context_.shared->refused_total.fetch_add(1, std::memory_order_relaxed);
  context_.log.debug("http.refused",
                     {{"status", refusal->status}, {"code", refusal->error.code()}});
  co_await send_error(refusal->status, refusal->error);
  gentle_close_ = true;
  co_return std::nullopt;
}

Task<Connection::Next> Connection::serve(ParsedRequest request) {
  if (context_.shared) context_.shared->requests_total.fetch_add(1, std::memory_order_relaxed);
  if (context_.draining) {
    co_await send_error(503, Error{Code::shutting_down, "the server is shutting down"});
    co_return Next::close_gently;
  }
  busy_ = true;
  ServerExchange exchange{*this, std::move(request), context_.new_id(),
                          Deadline::after(context_.limits.exchange_timeout),
                          co_await asio::this_coro::executor};
  const bool in_time = co_await exchange.run();
  co_await finish_exchange(exchange, in_time);
  busy_ = false;
  if (!exchange.finished() || exchange.broken()) co_return Next::close;
  if (exchange.body().done()) co_return exchange.keep_alive() ? Next::keep : Next::close;
  if (!exchange.keep_alive() || !co_await drain_body(exchange.body())) co_return Next::close_gently;
  co_return Next::keep;
}

// A request must not stay without an answer, whatever its handler did.
Task<> Connection::finish_exchange(ServerExchange& exchange, bool in_time) {
  if (exchange.responded() || exchange.broken()) co_return;
  const int status = in_time ? 500 : 504;
  const Error error = in_time ? Error{Code::internal, "the request was not answered"}
                              : Error{Code::deadline_exceeded, "the request took too long"};
  context_.log.warning("http.unanswered",
                       {{"status", status}, {"id", PublicText{std::string{exchange.id()}}}});
  ResponseHead head{.status = status, .headers = {}};
  head.headers.add("content-type", "application/json");
  head.headers.add("connection", "close");
  const auto body = error_body(status, error);
  (void)co_await exchange.respond(std::move(head), as_bytes(body));
}

Task<bool> Connection::drain_body(BodyDecoder& body) {
  std::uint64_t drained = 0;
  const auto deadline = Deadline::after(kLingerTime);
  while (!body.done()) {
    if (input_.empty()) {
      const auto read = co_await stream_->read_some(input_.prepare(kHeadReadBytes), deadline);
      if (!read || *read == 0) co_return false;
      input_.commit(*read);
    }
    const auto piece = body.next(input_.view(), input_.size());
    if (!piece) co_return false;
    input_.consume(piece->consumed);
    drained += piece->consumed;
    if (drained > kDrainBytesMax) co_return false;
  }
  co_return true;
}

Task<> Connection::send_error(int status, const Error& error) {
  const auto body = error_body(status, error);
  ResponseHead head{.status = status, .headers = {}};
  head.headers.add("content-type", "application/json");
  head.headers.add("content-length", std::to_string(body.size()));
  head.headers.add("date", std::string{context_.date()});
  head.headers.add("x-request-id", context_.new_id());
  head.headers.add("connection", "close");
  if (status == 503) head.headers.add("retry-after", "5");
  std::string text;
  if (!append_response_head(text, head)) co_return;
  text += body;
  (void)co_await stream_->write(as_bytes(text), Deadline::after(kLastWordsTime));
}

Task<> Connection::refuse(int status, Error error) {
  if (context_.shared) context_.shared->refused_total.fetch_add(1, std::memory_order_relaxed);
  co_await send_error(status, error);
  co_await linger();
  stream_->close();
}

Task<> Connection::linger() {
  const auto deadline = Deadline::after(kLingerTime);
  co_await stream_->shutdown(deadline);
  input_.release();
  for (std::size_t total = 0; total < kLingerBytesMax;) {
    const auto read = co_await stream_->read_some(input_.prepare(kHeadReadBytes), deadline);
    if (!read || *read == 0) break;
    total += *read;
  }
}

void Connection::wake_if_idle() noexcept {
  if (idle_) stream_->expire_read();
}

Task<> serve_connection(std::unique_ptr<async::Stream> stream, Carrier carrier, Handler& handler,
                        Logger& log, const ServerLimits& limits) {
  ServerContext context{handler, log, limits, nullptr};
  Connection connection{std::move(stream), carrier, context};
  co_await connection.run();
}

}  // namespace tacit::http
