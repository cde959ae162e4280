#include "gateway/sealed_exchange.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "core/text.hpp"

namespace tacit::gateway {
namespace {

constexpr std::size_t kReadBytes = 16 * 1024;
constexpr std::size_t kPacedBytesMax = 64 * 1024;  // waiting for a tick; then the writer waits

// The handlers of these read their bodies to the end. Of the others nobody would notice that the
// final frame is missing: they wait for it before they are served.
bool has_body(std::string_view method) {
  return method == "POST" || method == "PUT" || method == "PATCH";
}

}  // namespace

SealedExchange::SealedExchange(http::Exchange& outer, std::unique_ptr<seal::RequestOpener> opener,
                               std::size_t body_bytes_max, asio::any_io_executor executor)
    : outer_{outer},
      opener_{std::move(opener)},
      body_bytes_left_{body_bytes_max},
      ticker_{executor},
      ticked_{executor} {}

Async<void> SealedExchange::open() {
  for (;;) {
    TACIT_CO_CHECK(open_frames());
    if (opener_->finished()) break;
    if (decoder_.has_head() && has_body(decoder_.request().method)) break;
    TACIT_CO_CHECK(co_await read_outer());
  }
  co_return take_request_head();
}

Async<void> SealedExchange::read_outer() {
  std::array<std::byte, kReadBytes> buffer;
  const auto n = co_await outer_.read_some(buffer);
  if (!n) {
    // Where the outer message broke is nobody's business yet.
    if (!opener_->authenticated() && n.error().code() != Code::cancelled) {
      co_return fail(seal::refused());
    }
    co_return fail(n.error());
  }
  if (*n == 0) {
    opener_->end();
  } else {
    opener_->feed(BytesView{buffer}.first(*n));
  }
  co_return Result<void>{};
}

// Opens what has come and decodes it.
Result<void> SealedExchange::open_frames() {
  for (;;) {
    const auto data_or = opener_->next();
    if (!data_or && opener_->authenticated() && data_or.error().code() == Code::corrupt) {
      return fail(Code::malformed, "the sealed request was altered on its way");
    }
    TACIT_TRY(const auto data, data_or);
    if (opener_->authenticated() && !answer_) {
      shape_ = opener_->shape();
      TACIT_TRY(answer_, opener_->answer_sealer());
    }
    if (!data) return {};
    const auto before = content_.size();
    TACIT_CHECK(decoder_.feed(*data, content_));
    const auto grown = content_.size() - before;
    if (grown > body_bytes_left_) {
      return fail(Error{Code::too_large, "the request's body is too large"}.fix(
          "Send less in one request"));
    }
    body_bytes_left_ -= grown;
    if (opener_->finished()) {
      TACIT_CHECK(decoder_.end());
      return {};
    }
  }
}

Result<void> SealedExchange::take_request_head() {
  auto& head = decoder_.request();
  request_.method = std::move(head.method);
  request_.target = std::move(head.path);
  for (auto& [name, value] : head.fields) {
    if (!http::is_connection_field(name)) request_.headers.add(std::move(name), std::move(value));
  }
  if (!head.authority.empty() && !request_.headers.contains("host")) {
    request_.headers.add("host", std::move(head.authority));
  }
  return {};
}

Async<std::size_t> SealedExchange::read_some(std::span<std::byte> into) {
  while (content_.size() == content_read_) {
    content_ = SecretText{};
    content_read_ = 0;
    if (opener_->finished()) co_return 0;
    TACIT_CO_CHECK(open_frames());
    if (content_.size() > 0 || opener_->finished()) continue;
    TACIT_CO_CHECK(co_await read_outer());
  }
  const auto n = std::min(into.size(), content_.size() - content_read_);
  std::memcpy(into.data(), content_.reveal().data() + content_read_, n);
  content_read_ += n;
  co_return n;
}

Async<void> SealedExchange::lead(http::ResponseHead head, std::optional<std::size_t> body_bytes) {
  if (state_ != State::waiting) co_return fail(Code::internal, "a second response");
  body_allowed_ = request_.method != "HEAD" && head.status != 204 && head.status != 304;
  seal::BhttpResponse inner{head.status, {}};
  for (const auto& [name, value] : head.headers) {
    if (!http::is_connection_field(name) && !iequals_ascii(name, "content-length")) {
      inner.fields.emplace_back(name, value);
    }
  }
  if (body_bytes) inner.fields.emplace_back("content-length", std::to_string(*body_bytes));
  inner.fields.emplace_back("x-request-id", std::string{id()});
  answer_->append(seal::bhttp_head(inner));
  state_ = State::started;
  // The same for every answer, whatever it says.
  http::ResponseHead outer{200, {}};
  outer.headers.add("content-type", std::string{opener_->answer_media_type()});
  outer.headers.add("cache-control", "no-store");
  wire_.assign(answer_->head().begin(), answer_->head().end());
  outer_head_ = std::move(outer);  // leaves with what comes first
  if (paced()) {
    TACIT_CO_CHECK(co_await send_wire(false));
    ticking_ = true;
    ticker_.spawn(keep_pace());
  }
  co_return Result<void>{};
}

Async<void> SealedExchange::send_wire(bool final) {
  if (outer_head_) {
    auto head = *std::move(outer_head_);
    outer_head_.reset();
    auto sent = co_await outer_.start_with(std::move(head), wire_, final);
    wire_.clear();
    co_return sent;
  }
  if (!wire_.empty()) {
    auto sent = co_await outer_.write(wire_);
    wire_.clear();
    if (!sent) co_return sent;
  }
  if (!final) co_return Result<void>{};
  co_return co_await outer_.finish();
}

void SealedExchange::append_content(BytesView bytes) {
  Bytes prefix;
  seal::put_bhttp_prefix(prefix, bytes.size());
  answer_->append(prefix);
  answer_->append(bytes);
}

// Sends what was appended as the shape wants it.
Async<void> SealedExchange::send(bool final) {
  if (tick_error_) co_return fail(*tick_error_);
  if (paced()) {
    ending_ = final;
    while (final ? ticking_ : answer_->pending() > kPacedBytesMax) {
      if (auto waited = co_await ticked_.wait(deadline()); !waited) co_return waited;
      if (tick_error_) co_return fail(*tick_error_);
    }
  }
  if (!final && (paced() || whole())) co_return Result<void>{};
  // Whole frames first; then what is left of them.
  TACIT_CO_CHECK(answer_->write({}, wire_));
  TACIT_CO_CHECK(final ? answer_->finish(wire_) : answer_->flush(false, wire_));
  co_return co_await send_wire(final);
}

Task<> SealedExchange::keep_pace() {
  const Milliseconds pace{shape_.pace_ms};
  auto next = std::chrono::steady_clock::now();
  while (!ending_ || answer_->pending() >= shape_.frame_bytes() - seal::kFrameHeaderBytes) {
    next += pace;
    if (!co_await async::sleep_until(next)) break;
    if (ending_ && answer_->pending() < shape_.frame_bytes() - seal::kFrameHeaderBytes) break;
    auto sent = answer_->flush(true, wire_);
    if (sent) sent = co_await send_wire(false);
    if (!sent) {
      tick_error_ = sent.error();
      break;
    }
    ticked_.notify();
  }
  ticking_ = false;
  ticked_.notify();
}

Async<void> SealedExchange::respond(http::ResponseHead head, BytesView body) {
  TACIT_CO_CHECK(co_await lead(std::move(head), body.size()));
  if (body_allowed_) append_content(body);
  co_return co_await finish();
}

Async<void> SealedExchange::start(http::ResponseHead head) {
  TACIT_CO_CHECK(co_await lead(std::move(head), std::nullopt));
  co_return co_await send(false);
}

Async<void> SealedExchange::write(BytesView bytes) {
  if (state_ != State::started) co_return fail(Code::internal, "write out of place");
  if (!body_allowed_ || bytes.empty()) co_return Result<void>{};
  append_content(bytes);
  co_return co_await send(false);
}

Async<void> SealedExchange::finish() {
  if (state_ != State::started) co_return fail(Code::internal, "finish out of place");
  Bytes end;
  seal::put_bhttp_end(end);
  answer_->append(end);
  TACIT_CO_CHECK(co_await send(true));
  state_ = State::finished;
  co_return Result<void>{};
}

Task<> SealedExchange::close() {
  ticker_.cancel();
  (void)co_await ticker_.join(Deadline::never());  // it has been cancelled: it leaves at once
}

}  // namespace tacit::gateway
