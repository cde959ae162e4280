#include "http/server_exchange.hpp"

#include <algorithm>

#include "async/cancel.hpp"
#include "core/text.hpp"

namespace tacit::http {

namespace {

constexpr std::size_t kReadBytes = 16 * 1024;
constexpr std::size_t kReadAheadBytesMax = 64 * 1024;  // pipelined requests while a handler runs
constexpr std::size_t kWriteBytes = 256 * 1024;        // what one write timeout is for
constexpr std::uint64_t kUnreadBodyBytesMax = 64 * 1024;
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

// A caller's id is kept when it cannot do harm in a log or a header.
bool is_request_id(std::string_view id) {
  return !id.empty() && id.size() <= 64 && std::ranges::all_of(id, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_' || c == '.';
  });
}

}  // namespace

ServerExchange::ServerExchange(Connection& connection, ParsedRequest request, std::string id,
                               Deadline deadline, asio::any_io_executor executor)
    : connection_{connection},
      request_{std::move(request)},
      id_{std::move(id)},
      deadline_{deadline},
      body_{request_.framing, connection.context_.limits.body_bytes_max},
      executor_{executor},
      handler_{executor},
      keep_alive_{request_.keep_alive} {
  if (const auto given = request_.head.headers.find("x-request-id");
      given && is_request_id(*given)) {
    id_ = *given;
  }
}

Task<bool> ServerExchange::run() {
  if (body_.done()) start_watching();
  handler_.spawn(connection_.context_.handler.serve(*this));
  const bool in_time = co_await handler_.join(deadline_);
  co_await stop_watching();
  co_return in_time;
}

void ServerExchange::give_up() noexcept {
  broken_ = true;
  handler_.cancel();
}

void ServerExchange::start_watching() {
  if (watcher_ || broken_) return;
  watcher_.emplace(executor_);
  watcher_->spawn(watch());
}

Task<> ServerExchange::stop_watching() {
  if (!watcher_) co_return;
  watcher_->cancel();
  (void)co_await watcher_->join(Deadline::never());  // it has been cancelled: it leaves at once
  watcher_.reset();
}

Task<> ServerExchange::watch() {
  auto& stream = *connection_.stream_;
  auto& input = connection_.input_;
  while (input.size() < kReadAheadBytesMax) {
    const auto readable =
        co_await stream.wait_readable(Deadline::never());  // bounded by the handler
    if (!readable && readable.error().code() == Code::cancelled) co_return;
    if (!readable) break;
    const auto read = co_await stream.read_some(input.prepare(1024), Deadline::never());
    if (!read && read.error().code() == Code::cancelled) co_return;
    if (!read || *read == 0) break;
    input.commit(*read);
  }
  if (input.size() < kReadAheadBytesMax) give_up();
}

Async<std::size_t> ServerExchange::read_some(std::span<std::byte> into) {
  if (broken_) co_return fail(Code::cancelled, "client went away");
  if (body_.done() || into.empty()) co_return 0;
  if (watcher_) co_await stop_watching();
  if (request_.expects_continue && connection_.input_.empty() && !responded()) {
    const std::array parts{as_bytes(kContinue)};
    TACIT_CO_CHECK(co_await send(parts));
  }
  request_.expects_continue = false;
  auto read = co_await read_part(into);
  if (read && body_.done()) start_watching();
  if (!read && read.error().code() != Code::cancelled) keep_alive_ = false;
  co_return read;
}

Async<std::size_t> ServerExchange::read_part(std::span<std::byte> into) {
  auto& stream = *connection_.stream_;
  auto& input = connection_.input_;
  const auto& limits = connection_.context_.limits;
  for (;;) {
    if (!input.empty()) {
      TACIT_CO_TRY(const auto piece, body_.next(input.view(), into.size()));
      std::ranges::copy(piece.data, into.begin());
      const auto size = piece.data.size();
      input.consume(piece.consumed);
      if (size > 0 || body_.done()) co_return size;
    }
    const auto deadline = deadline_.at_most(limits.body_timeout);
    // Straight to the caller while nothing but body can come.
    const auto raw = std::min<std::uint64_t>(body_.raw_remaining(), into.size());
    const auto place =
        raw > 0 ? into.first(static_cast<std::size_t>(raw)) : input.prepare(kReadBytes);
    const auto read = co_await stream.read_some(place, deadline);
    if (!read) {
      if (read.error().code() == Code::io) give_up();
      co_return fail(read.error());
    }
    if (*read == 0) {
      give_up();
      TACIT_CO_CHECK(body_.end_of_stream());
      co_return 0;
    }
    if (raw > 0) {
      body_.skip(*read);
      co_return *read;
    }
    input.commit(*read);
  }
}

// Fields that belong to the connection and not to the handler.
Result<std::string> ServerExchange::make_head(ResponseHead head,
                                              std::optional<std::size_t> body_bytes) {
  auto& headers = head.headers;
  if (const auto wish = headers.find("connection"); wish && iequals_ascii(*wish, "close")) {
    keep_alive_ = false;
  }
  for (const auto* owned : {"connection", "keep-alive", "content-length", "transfer-encoding",
                            "date", "x-request-id", "trailer", "upgrade"}) {
    headers.remove(owned);
  }
  body_allowed_ = request_.head.method != "HEAD" && head.status != 204 && head.status != 304;
  chunked_ = !body_bytes && request_.minor_version >= 1;
  if (!body_bytes && !chunked_ && body_allowed_) keep_alive_ = false;  // ends with the connection
  if (!body_.at_most_left(kUnreadBodyBytesMax) || request_.expects_continue) keep_alive_ = false;
  if (connection_.context_.draining) keep_alive_ = false;

  headers.add("date", std::string{connection_.context_.date()});
  headers.add("x-request-id", id_);
  if (head.status != 204) {
    if (body_bytes && head.status != 304)
      headers.add("content-length", std::to_string(*body_bytes));
    if (chunked_ && head.status != 304) headers.add("transfer-encoding", "chunked");
  }
  if (!keep_alive_) {
    headers.add("connection", "close");
  } else if (request_.minor_version == 0) {
    headers.add("connection", "keep-alive");
  }
  std::string text;
  text.reserve(256);
  TACIT_CHECK(append_response_head(text, head));
  return text;
}

Async<void> ServerExchange::send(std::span<const BytesView> parts) {
  if (broken_) co_return fail(Code::cancelled, "client went away");
  const auto deadline = deadline_.at_most(connection_.context_.limits.write_timeout);
  auto sent = co_await connection_.stream_->write(parts, deadline);
  if (!sent && sent.error().code() != Code::cancelled) give_up();
  co_return sent;
}

Async<void> ServerExchange::respond(ResponseHead head, BytesView body) {
  TACIT_CO_RETURN_IF_CANCELLED();  // the request then still gets its answer from the server
  if (responded()) co_return fail(Code::internal, "second response to one request");
  TACIT_CO_TRY(const auto text, make_head(std::move(head), body.size()));
  state_ = State::started;
  if (!body_allowed_) body = {};
  auto rest = body.subspan(std::min(body.size(), kWriteBytes));
  const std::array first{as_bytes(text), body.first(body.size() - rest.size())};
  TACIT_CO_CHECK(co_await send(first));
  // A piece at a time, so that the write timeout measures a reader that does not read, not a long
  // body on a slow line.
  while (!rest.empty()) {
    const std::array part{rest.first(std::min(rest.size(), kWriteBytes))};
    TACIT_CO_CHECK(co_await send(part));
    rest = rest.subspan(part[0].size());
  }
  state_ = State::finished;
  co_return Result<void>{};
}

Async<void> ServerExchange::start(ResponseHead head) {
  TACIT_CO_RETURN_IF_CANCELLED();  // the request then still gets its answer from the server
  if (responded()) co_return fail(Code::internal, "second response to one request");
  TACIT_CO_TRY(const auto text, make_head(std::move(head), std::nullopt));
  state_ = State::started;
  if (!body_.done()) start_watching();  // whoever streams now has read what it wanted to
  const std::array parts{as_bytes(text)};
  co_return co_await send(parts);
}

Async<void> ServerExchange::write(BytesView bytes) {
  if (state_ != State::started) co_return fail(Code::internal, "write outside a streamed response");
  if (!body_allowed_) co_return Result<void>{};
  while (!bytes.empty()) {
    const auto part = bytes.first(std::min(bytes.size(), kWriteBytes));
    bytes = bytes.subspan(part.size());
    if (chunked_) {
      const auto header = chunk_header(part.size());
      const std::array parts{as_bytes(header), part, as_bytes(kChunkEnd)};
      TACIT_CO_CHECK(co_await send(parts));
    } else {
      const std::array parts{part};
      TACIT_CO_CHECK(co_await send(parts));
    }
  }
  co_return Result<void>{};
}

Async<void> ServerExchange::finish() {
  if (state_ != State::started)
    co_return fail(Code::internal, "finish outside a streamed response");
  if (chunked_ && body_allowed_) {
    const std::array parts{as_bytes(kLastChunk)};
    TACIT_CO_CHECK(co_await send(parts));
  }
  state_ = State::finished;
  co_return Result<void>{};
}

Async<void> ServerExchange::start_with(ResponseHead head, BytesView first, bool last) {
  TACIT_CO_RETURN_IF_CANCELLED();  // the request then still gets its answer from the server
  if (first.empty() || first.size() > kWriteBytes || request_.minor_version == 0 ||
      request_.head.method == "HEAD" || responded()) {
    co_return co_await Exchange::start_with(std::move(head), first, last);
  }
  TACIT_CO_TRY(const auto text, make_head(std::move(head), std::nullopt));
  state_ = State::started;
  if (!body_.done()) start_watching();
  const auto header = chunk_header(first.size());
  const std::array parts{as_bytes(text), as_bytes(header), first, as_bytes(kChunkEnd),
                         as_bytes(last ? kLastChunk : std::string_view{})};
  // Without a body it is as if nothing had been written.
  TACIT_CO_CHECK(co_await send(body_allowed_ ? std::span{parts} : std::span{parts}.first(1)));
  if (last) state_ = State::finished;
  co_return Result<void>{};
}

}  // namespace tacit::http
