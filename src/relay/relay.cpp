#include "relay/relay.hpp"

#include <algorithm>
#include <array>

#include "core/text.hpp"
#include "seal/ohttp.hpp"
#include "seal/sealed.hpp"
#include "seal/statement.hpp"

namespace tacit::relay {
namespace {

constexpr std::size_t kReadBytes = 32 * 1024;
// Shorter requests are sent in one piece; longer ones as they come.
constexpr std::size_t kWholeBytesMax = 64 * 1024;
constexpr std::string_view kProblem = "application/problem+json";

bool is_one_of(std::string_view text, std::initializer_list<std::string_view> known) {
  return std::ranges::any_of(known, [text](auto one) { return iequals_ascii(one, text); });
}

// The types of requests, and of answers that stream.
bool is_request_type(std::string_view type) {
  return is_one_of(type, {seal::kRequestMediaType, seal::kOhttpRequestMediaType});
}
bool is_answer_type(std::string_view type) {
  return is_one_of(type, {seal::kAnswerMediaType, seal::kOhttpAnswerMediaType});
}
// Those of everything else that may pass.
bool is_plain_type(std::string_view type) {
  return is_one_of(type, {seal::kOhttpKeysMediaType, seal::kEvidenceMediaType, kProblem});
}

// What a GET may ask a target for. A query says nothing but the nonce of evidence, which is random.
bool may_get(std::string_view path, std::string_view query) {
  if (path == seal::kSealedPath || path == seal::kOhttpConfigsPath) return query.empty();
  if (path != seal::kEvidencePath) return false;
  constexpr std::string_view parameter = "nonce=";
  if (query.empty()) return true;
  const auto nonce =
      query.starts_with(parameter) ? from_hex(query.substr(parameter.size())) : std::nullopt;
  return nonce && nonce->size() == seal::EvidenceNonce{}.size();
}

Task<> respond_problem(http::Exchange& exchange, int status, std::string_view title) {
  http::ResponseHead head{status, {}};
  head.headers.add("content-type", std::string{kProblem});
  head.headers.add("cache-control", "no-store");
  if (status == 429 || status == 503) head.headers.add("retry-after", "1");
  const auto body = R"({"title":")" + std::string{title} + R"("})";
  (void)co_await exchange.respond(std::move(head), as_bytes(body));  // it may have left
}

}  // namespace

struct Relay::Call {
  http::Exchange& exchange;
  const Target& target;
  std::string_view path;  // at the target
};

Result<std::vector<Target>> make_targets(const std::vector<std::string>& urls) {
  std::vector<Target> targets;
  for (auto url : urls) {
    if (url.find("://") == std::string::npos) url.insert(0, "https://");
    const auto scheme_end = url.find("://") + 3;
    while (url.size() > scheme_end && url.ends_with('/')) url.pop_back();
    const auto authority = url.substr(scheme_end, url.find('/', scheme_end) - scheme_end);
    const bool known_scheme = url.starts_with("https://") || url.starts_with("http://");
    if (!known_scheme || authority.empty() || authority.find('@') != std::string::npos ||
        url.find_first_of("?#") != std::string::npos) {
      return fail(Error{Code::invalid_argument, "this is no target"}
                      .about(PublicText{url})
                      .fix("Name targets as https://HOST[:PORT][/PATH]"));
    }
    targets.push_back({std::move(url), urls.size() == 1 ? "" : '/' + authority});
  }
  for (std::size_t i = 1; i < targets.size(); ++i) {
    const auto same = [&](const Target& other) { return other.path == targets[i].path; };
    if (std::ranges::any_of(targets.begin(), targets.begin() + static_cast<std::ptrdiff_t>(i),
                            same)) {
      return fail(Error{Code::invalid_argument, "two targets have the same host and port"}.about(
          PublicText{targets[i].url}));
    }
  }
  return targets;
}

Relay::Relay(RelayOptions options, http::Client& client, RateLimiter& limiter, Batch* batch)
    : options_{std::move(options)}, client_{client}, limiter_{limiter}, batch_{batch} {}

Task<> Relay::serve(http::Exchange& exchange) {
  const auto& request = exchange.request();
  auto path = request.path();
  if (path == "/health" && request.method == "GET") {
    http::ResponseHead head{200, {}};
    head.headers.add("content-type", "application/json");
    (void)co_await exchange.respond(std::move(head), as_bytes(R"({"status":"ok"})"));
    co_return;
  }
  const auto target = std::ranges::find_if(
      options_.targets, [path](const Target& one) { return path.starts_with(one.path + '/'); });
  if (target != options_.targets.end()) path.remove_prefix(target->path.size());
  const bool get = request.method == "GET" && may_get(path, request.query());
  const bool post = request.method == "POST" && path == seal::kSealedPath &&
                    request.query().empty() &&
                    is_request_type(request.headers.find("content-type").value_or(""));
  if (target == options_.targets.end() || (!get && !post)) {
    ++counts_.refused;
    co_await respond_problem(exchange, 404, "this relay carries encapsulated requests only");
    co_return;
  }
  if (const auto admitted = limiter_.admit(exchange.peer(), std::chrono::steady_clock::now());
      !admitted) {
    ++counts_.limited;
    const int status = admitted.error().code() == Code::rate_limited ? 429 : 503;
    co_await respond_problem(exchange, status, admitted.error().what());
    co_return;
  }
  const Call call{exchange, *target, path};
  const auto forwarded = co_await forward(call);
  if (forwarded) {
    ++counts_.forwarded;
  } else if (forwarded.error().code() != Code::cancelled) {
    ++counts_.failed;
  }
  if (forwarded || exchange.responded() || forwarded.error().code() == Code::cancelled) co_return;
  const auto code = forwarded.error().code();
  const int status = code == Code::deadline_exceeded ? 504
                     : code == Code::too_large       ? 413
                     : code == Code::malformed       ? 400
                                                     : 502;
  co_await respond_problem(exchange, status, "the request was not passed on");
}

Async<void> Relay::forward(const Call& call) {
  if (call.exchange.request().method == "GET") co_return co_await forward_get(call);
  co_return co_await forward_post(call);
}

Async<void> Relay::forward_get(const Call& call) {
  const auto& request = call.exchange.request();
  auto url = call.target.url + std::string{call.path};
  if (!request.query().empty()) url += '?' + std::string{request.query()};
  http::Headers headers;
  if (call.path == seal::kSealedPath) {
    headers.add("accept", std::string{seal::kOhttpKeysMediaType});  // RFC 9540
  }
  TACIT_CO_TRY(const auto response,
               co_await client_.send("GET", url, std::move(headers), {}, call.exchange.deadline()));
  co_return co_await answer(call, *response);
}

Async<void> Relay::forward_post(const Call& call) {
  // All that the target is told beside the message.
  http::Headers headers;
  const auto type = call.exchange.request().headers.find("content-type").value_or("");
  headers.add("content-type", std::string{type});
  if (iequals_ascii(type, seal::kRequestMediaType)) headers.add("incremental", "?1");
  TACIT_CO_TRY(const auto response, co_await send(call, std::move(headers)));
  co_return co_await answer(call, *response);
}

// Reads the request and sends it: whole when it is short or batched, else as it comes.
Async<std::unique_ptr<http::Response>> Relay::send(const Call& call, http::Headers headers) {
  const auto whole_max = batch_ != nullptr ? options_.batched_bytes_max : kWholeBytesMax;
  Bytes body;
  for (;;) {
    const auto before = body.size();
    body.resize(std::min(before + kReadBytes, whole_max + 1));
    TACIT_CO_TRY(const auto n, co_await call.exchange.read_some(std::span{body}.subspan(before)));
    body.resize(before + n);
    if (n == 0) break;
    if (body.size() <= whole_max) continue;
    if (batch_ != nullptr) co_return fail(Code::too_large, "request for a batch");
    co_return co_await stream(call, std::move(headers), body);
  }
  if (batch_ != nullptr) TACIT_CO_CHECK(co_await batch_->join(call.exchange.deadline()));
  const auto url = call.target.url + std::string{call.path};
  co_return co_await client_.send("POST", url, std::move(headers), body, call.exchange.deadline());
}

Async<std::unique_ptr<http::Response>> Relay::stream(const Call& call, http::Headers headers,
                                                     BytesView begun) {
  const auto deadline = call.exchange.deadline();
  const auto url = call.target.url + std::string{call.path};
  TACIT_CO_TRY(const auto upload,
               co_await client_.start("POST", url, std::move(headers), deadline));
  TACIT_CO_CHECK(co_await upload->write(begun, deadline));
  Bytes buffer(kReadBytes);
  for (;;) {
    TACIT_CO_TRY(const auto n, co_await call.exchange.read_some(buffer));
    if (n == 0) break;
    TACIT_CO_CHECK(co_await upload->write(BytesView{buffer}.first(n), deadline));
  }
  co_return co_await upload->finish(deadline);
}

// Passes on the status, the type and the body, when the type is one of ours.
Async<void> Relay::answer(const Call& call, http::Response& response) {
  const auto& head = response.head();
  const auto type = head.headers.find("content-type").value_or("");
  if (head.status < 200 || (head.status >= 300 && head.status < 400)) {
    co_return fail(Code::unavailable, "the target answers with something else");
  }
  http::ResponseHead out{head.status, {}};
  if (!is_answer_type(type) && !is_plain_type(type)) {
    co_return co_await call.exchange.respond(std::move(out), {});
  }
  out.headers.add("content-type", std::string{type});
  const auto age = head.headers.find("cache-control");
  if (age && is_plain_type(type)) out.headers.add("cache-control", std::string{*age});
  TACIT_CO_CHECK(co_await call.exchange.start(std::move(out)));
  Bytes buffer(kReadBytes);
  for (;;) {
    TACIT_CO_TRY(const auto n, co_await response.read_some(buffer, call.exchange.deadline()));
    if (n == 0) break;
    TACIT_CO_CHECK(co_await call.exchange.write(BytesView{buffer}.first(n)));
  }
  co_return co_await call.exchange.finish();
}

}  // namespace tacit::relay
