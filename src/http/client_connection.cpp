#include "http/client_connection.hpp"

#include <algorithm>
#include <array>

namespace tacit::http {

namespace {

constexpr std::size_t kReadBytes = 16 * 1024;
constexpr int kInterimResponsesMax = 8;

}  // namespace

Task<bool> ClientConnection::is_fresh() {
  if (!input_.empty()) co_return false;
  // Readable means an end, an error or an answer to nothing.
  const auto readable = co_await stream_->wait_readable(Deadline::at(SteadyTime{}));
  co_return !readable && readable.error().code() == Code::deadline_exceeded;
}

Async<ParsedResponse> ClientConnection::exchange(std::string_view head, BytesView body,
                                                 std::string_view method, HeadLimits limits,
                                                 Deadline deadline) {
  const std::array parts{as_bytes(head), body};
  auto sent = co_await send(parts, deadline);
  co_return co_await receive(std::move(sent), method, limits, deadline);
}

Async<void> ClientConnection::send(std::span<const BytesView> parts, Deadline deadline) {
  heard_ = false;
  co_return co_await stream_->write(parts, deadline);
}

Async<ParsedResponse> ClientConnection::receive(Result<void> sent, std::string_view method,
                                                HeadLimits limits, Deadline deadline) {
  if (!sent && sent.error().code() != Code::io) co_return fail(sent.error());
  for (int interim = 0; interim <= kInterimResponsesMax; ++interim) {
    auto response = co_await read_head(method, limits, deadline);
    if (!response && !sent && !heard_) co_return fail(sent.error());
    if (!response) co_return fail(std::move(response).error());
    if (response->head.status == 101)
      co_return fail(Code::malformed, "switch to a protocol nobody asked for");
    if (!sent) response->keep_alive = false;
    if (response->head.status >= 200) co_return response;
  }
  co_return fail(Code::malformed, "too many interim responses");
}

Async<ParsedResponse> ClientConnection::read_head(std::string_view method, HeadLimits limits,
                                                  Deadline deadline) {
  HeadScanner scanner{limits};
  for (;;) {
    if (!input_.empty()) {
      heard_ = true;
      auto size = scanner.scan(as_text(input_.view()));
      if (!size) co_return fail(std::move(size).error().error);
      if (*size) {
        auto response = parse_response_head(as_text(input_.view().first(**size)), method);
        input_.consume(**size);
        co_return response;
      }
    }
    const auto read = co_await stream_->read_some(input_.prepare(kReadBytes), deadline);
    if (!read) co_return fail(read.error());
    if (*read == 0) {
      if (heard_) co_return fail(Code::malformed, "response head was cut short");
      co_return fail(Code::unavailable, "the server closed the connection without an answer");
    }
    input_.commit(*read);
  }
}

Async<std::size_t> ClientConnection::read_body(BodyDecoder& body, std::span<std::byte> into,
                                               Deadline deadline) {
  if (into.empty()) co_return fail(Code::invalid_argument, "no room to read into");
  while (!body.done()) {
    if (!input_.empty()) {
      TACIT_CO_TRY(const auto piece, body.next(input_.view(), into.size()));
      std::ranges::copy(piece.data, into.begin());
      const auto size = piece.data.size();
      input_.consume(piece.consumed);
      if (size > 0) co_return size;
      if (body.done()) break;
    }
    const auto raw = std::min<std::uint64_t>(body.raw_remaining(), into.size());
    const auto place =
        raw > 0 ? into.first(static_cast<std::size_t>(raw)) : input_.prepare(kReadBytes);
    TACIT_CO_TRY(const auto n, co_await stream_->read_some(place, deadline));
    if (n == 0) {
      TACIT_CO_CHECK(body.end_of_stream());
      break;
    }
    if (raw > 0) {
      body.skip(n);
      co_return n;
    }
    input_.commit(n);
  }
  co_return 0;
}

}  // namespace tacit::http
