#include "connect/forwarder.hpp"

#include "core/text.hpp"

namespace tacit::connect {
namespace {

// Answers up to this size are passed on in one piece, with their length.
constexpr std::size_t kWholeBytesMax = 1 << 20;

std::string_view api_key_of(const http::Headers& headers) {
  constexpr std::string_view scheme = "bearer ";
  const auto authorization = headers.find("authorization").value_or("");
  if (authorization.size() > scheme.size() &&
      iequals_ascii(authorization.substr(0, scheme.size()), scheme)) {
    return trim_ascii(authorization.substr(scheme.size()));
  }
  return headers.find("x-api-key").value_or("");
}

// Our own failures in the shape that clients of any API can show: OpenAI's, whose `error.message`
// Anthropic and Ollama clients read, too. The text has literals and public names only.
Task<> respond_error(http::Exchange& exchange, const Error& error) {
  const auto code = error.code();
  const int status = code == Code::unauthenticated     ? 401
                     : code == Code::too_large         ? 413
                     : code == Code::malformed         ? 400
                     : code == Code::overloaded        ? 503
                     : code == Code::unavailable       ? 503
                     : code == Code::deadline_exceeded ? 504
                                                       : 502;
  std::string text;
  for (const char c : error.explain()) {
    if (c == '"' || c == '\\') text += '\\';
    text += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  const auto body = R"({"error":{"message":")" + text + R"(","type":")" +
                    (status == 401 ? "invalid_request_error" : "api_connection_error") +
                    R"(","param":null,"code":)" +
                    (status == 401 ? R"("invalid_api_key")" : "null") + "}}";
  http::ResponseHead head{status, {}};
  head.headers.add("content-type", "application/json");
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
      options_.api_key.empty() ? api_key_of(request.headers) : options_.api_key.reveal();
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
