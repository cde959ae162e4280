#include "gateway/ehbp_exchange.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include "core/text.hpp"

namespace tacit::gateway {
namespace {

constexpr std::size_t kReadBytes = 16 * 1024;

}  // namespace

EhbpExchange::EhbpExchange(http::Exchange& outer, seal::EhbpOpener::Parts parts, BytesView enc,
                           std::size_t body_bytes_max)
    : outer_{outer},
      opener_{parts, enc, body_bytes_max},
      body_bytes_left_{body_bytes_max},
      request_{outer.request().method, outer.request().target, {}} {
  for (const auto& [name, value] : outer.request().headers) {
    const bool ours = iequals_ascii(name, seal::kEhbpKeyField) ||
                      iequals_ascii(name, "content-length") || http::is_connection_field(name);
    if (!ours) request_.headers.add(name, value);
  }
}

Async<void> EhbpExchange::open() {
  while (!opener_.authenticated()) TACIT_CO_CHECK(co_await open_more());
  TACIT_CO_TRY(auto answer, opener_.answer());
  answer_.emplace(std::move(answer));
  co_return Result<void>{};
}

// Opens the next frame, or reads what it takes.
Async<void> EhbpExchange::open_more() {
  const auto opened = opener_.next();
  if (!opened && opener_.authenticated()) {
    co_return fail(Code::malformed, "the encrypted body was altered or cut on its way");
  }
  TACIT_CO_TRY(const auto data, opened);
  if (data) {
    if (data->size() > body_bytes_left_) {
      co_return fail(Error{Code::too_large, "the request's body is too large"}.fix(
          "Send less in one request"));
    }
    body_bytes_left_ -= data->size();
    content_.append(as_text(*data));
    co_return Result<void>{};
  }
  if (opener_.finished()) co_return Result<void>{};
  std::array<std::byte, kReadBytes> buffer;
  const auto n = co_await outer_.read_some(buffer);
  if (!n && (opener_.authenticated() || n.error().code() == Code::cancelled)) {
    co_return fail(n.error());
  }
  if (!n) co_return fail(seal::refused());
  if (*n == 0) {
    opener_.end();
  } else {
    opener_.feed(BytesView{buffer}.first(*n));
  }
  co_return Result<void>{};
}

Async<std::size_t> EhbpExchange::read_some(std::span<std::byte> into) {
  if (content_.size() == content_read_) {
    content_ = SecretText{};
    content_read_ = 0;
    while (content_.empty() && !opener_.finished()) TACIT_CO_CHECK(co_await open_more());
  }
  const auto n = std::min(into.size(), content_.size() - content_read_);
  if (n > 0) std::memcpy(into.data(), content_.reveal().data() + content_read_, n);
  content_read_ += n;
  co_return n;
}

Async<void> EhbpExchange::start(http::ResponseHead head) {
  head.headers.remove("content-length");  // frames are longer than what they hold
  head.headers.set(std::string{seal::kEhbpNonceField}, to_hex(answer_->nonce()));
  co_return co_await outer_.start(std::move(head));
}

Async<void> EhbpExchange::write(BytesView bytes) {
  Bytes wire;
  TACIT_CO_CHECK(answer_->seal(bytes, wire));
  if (wire.empty()) co_return Result<void>{};
  co_return co_await outer_.write(wire);
}

Async<void> EhbpExchange::respond(http::ResponseHead head, BytesView body) {
  TACIT_CO_CHECK(co_await start(std::move(head)));
  TACIT_CO_CHECK(co_await write(body));
  co_return co_await finish();
}

}  // namespace tacit::gateway
