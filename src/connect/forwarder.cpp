#include "connect/forwarder.hpp"

#include "api/error_map.hpp"
#include "core/text.hpp"

namespace tacit::connect {
namespace {

// Answers up to this size are passed on in one piece, with their length.
constexpr std::size_t kWholeBytesMax = 1 << 20;

// Our own failures, in OpenAI's shape: its `error.message` is what Anthropic's and Ollama's clients
// read, too.
Task<> respond_error(http::Exchange& exchange, const Error& error) {
  const auto shape = api::error_shape(error.code());
  http::ResponseHead head{shape.status, {}};
  head.headers.add("content-type", "application/json");
  if (shape.retry_after_s > 0) head.headers.add("retry-after", std::to_string(shape.retry_after_s));
  const auto body = api::openai_error(error);
  (void)co_await exchange.respond(std::move(head), as_bytes(body));  // it may have left
}

}  // namespace

Task<> Forwarder::serve(http::Exchange& exchange) {
  const auto forwarded = co_await forward(exchange);
  wipe_stack();
  if (forwarded || exchange.responded()) co_return;  // a cut answer is cut for the application, too
  if (forwarded.error().code() == Code::cancelled) co_return;
  co_await respond_error(exchange, forwarded.error());
}

Async<void> Forwarder::forward(http::Exchange& exchange) {
  TACIT_CO_TRY(const auto body, co_await http::read_body(exchange, options_.body_bytes_max));
  const auto& request = exchange.request();
  const auto api_key =
      options_.api_key.empty() ? http::api_key_of(request.headers) : options_.api_key.reveal();
  TACIT_CO_TRY(const auto response, co_await client_.send(request, as_bytes(body.reveal()), api_key,
                                                          exchange.deadline()));
  auto head = response->head();
  const auto length = parse_u64(head.headers.find("content-length").value_or("none"));
  head.headers.remove("content-length");
  if (length && *length <= kWholeBytesMax) {
    SecretText whole;
    for (;;) {
      TACIT_CO_TRY(const auto piece, co_await response->read(exchange.deadline()));
      if (piece.empty()) break;
      whole.append(as_text(piece));
      if (whole.size() > *length) co_return fail(Code::malformed, "answer is longer than it says");
    }
    co_return co_await exchange.respond(std::move(head), as_bytes(whole.reveal()));
  }
  TACIT_CO_CHECK(co_await exchange.start(std::move(head)));
  for (;;) {
    TACIT_CO_TRY(const auto piece, co_await response->read(exchange.deadline()));
    if (piece.empty()) break;
    TACIT_CO_CHECK(co_await exchange.write(piece));
  }
  co_return co_await exchange.finish();
}

}  // namespace tacit::connect
