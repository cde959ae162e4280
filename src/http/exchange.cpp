#include "http/exchange.hpp"

#include <algorithm>
#include <array>

namespace tacit::http {

Async<void> Exchange::start_with(ResponseHead head, BytesView first, bool last) {
  TACIT_CO_CHECK(co_await start(std::move(head)));
  TACIT_CO_CHECK(co_await write(first));
  if (!last) co_return Result<void>{};
  co_return co_await finish();
}

Async<SecretText> read_body(Exchange& exchange, std::size_t body_bytes_max) {
  SecretText body;
  SecretBytes buffer{16 * 1024};
  for (;;) {
    TACIT_CO_TRY(const auto n, co_await exchange.read_some(buffer.reveal_mutable()));
    if (n == 0) co_return body;
    if (n > body_bytes_max - body.size()) {
      co_return fail(Error{Code::too_large, "the request body is too large"}.with(
          "limit", static_cast<std::int64_t>(body_bytes_max)));
    }
    body.append(as_text(buffer.reveal().first(n)));
  }
}

}  // namespace tacit::http
