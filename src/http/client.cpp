#include "http/client.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <functional>
#include <limits>
#include <vector>

#include "core/text.hpp"
#include "http/client_connection.hpp"
#include "http/url.hpp"

namespace tacit::http {

namespace {

constexpr Seconds kIdleConnectionAge{60};
constexpr std::size_t kRedirectBodyBytesMax = 16 * 1024;
constexpr std::string_view kUserAgent = "tacit/0.1";

bool is_idempotent(std::string_view method) {
  constexpr std::array<std::string_view, 6> kMethods{"GET", "HEAD",   "OPTIONS",
                                                     "PUT", "DELETE", "TRACE"};
  return std::ranges::find(kMethods, method) != kMethods.end();
}

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

// Where a request goes, and how.
struct Route {
  Url url;
  std::optional<Proxy> proxy;
  std::string key;  // connections with the same key are interchangeable
};

}  // namespace

struct Client::State {
  explicit State(ClientOptions given) : options{std::move(given)} {}

  struct Idle {
    std::string key;
    std::unique_ptr<ClientConnection> connection;
    SteadyTime since;
  };

  Result<Route> route_to(Url url) const;
  Result<std::shared_ptr<async::TlsClientContext>> tls();
  Task<std::unique_ptr<ClientConnection>> take_idle(std::string_view key);
  void keep(std::string key, std::unique_ptr<ClientConnection> connection);
  Async<std::unique_ptr<ClientConnection>> connect(const Route& route, Deadline deadline);
  Async<std::unique_ptr<async::Stream>> tunnel(const Route& route, Deadline deadline);
  HeadLimits head_limits() const {
    return {.head_bytes_max = options.limits.head_bytes_max,
            .headers_max = options.limits.headers_max};
  }

  ClientOptions options;
  std::vector<Idle> idle;  // oldest first
};

namespace {

class ClientResponse final : public Response {
 public:
  // `give_back` takes a connection that can carry another request.
  using GiveBack = std::move_only_function<void(std::unique_ptr<ClientConnection>)>;

  ClientResponse(ParsedResponse response, std::string url,
                 std::unique_ptr<ClientConnection> connection, Seconds read_timeout,
                 GiveBack give_back)
      : head_{std::move(response.head)},
        url_{std::move(url)},
        connection_{std::move(connection)},
        body_{response.framing, std::numeric_limits<std::int64_t>::max()},
        read_timeout_{read_timeout},
        keep_alive_{response.keep_alive},
        give_back_{std::move(give_back)} {
    let_go_at_end();
  }

  const ResponseHead& head() const override { return head_; }
  const std::string& url() const override { return url_; }

  Async<std::size_t> read_some(std::span<std::byte> into, Deadline deadline) override {
    if (!connection_) {
      if (failed_) co_return fail(Code::io, "the response failed earlier");
      co_return 0;
    }
    auto read = co_await connection_->read_body(body_, into, deadline.at_most(read_timeout_));
    if (!read && read.error().code() != Code::deadline_exceeded) {
      failed_ = true;
      connection_.reset();
    }
    let_go_at_end();
    co_return read;
  }

 private:
  void let_go_at_end() {
    if (!connection_ || !body_.done()) return;
    if (keep_alive_ && !connection_->has_unused_input()) give_back_(std::move(connection_));
    connection_.reset();
  }

  ResponseHead head_;
  std::string url_;
  std::unique_ptr<ClientConnection> connection_;
  BodyDecoder body_;
  Seconds read_timeout_;
  bool keep_alive_;
  bool failed_ = false;
  GiveBack give_back_;
};

// The fields that belong to us, then the caller's.
// No `body_bytes`: the body is chunked.
Result<std::string> make_head(const Route& route, std::string_view method, const Headers& given,
                              std::optional<std::size_t> body_bytes) {
  Headers headers;
  headers.add("host", route.url.authority);
  if (!given.contains("user-agent")) headers.add("user-agent", std::string{kUserAgent});
  const bool via_proxy = route.proxy && !route.url.secure;
  if (via_proxy && !route.proxy->authorization.empty()) {
    headers.add("proxy-authorization", route.proxy->authorization);
  }
  if (!body_bytes) {
    headers.add("transfer-encoding", "chunked");
  } else if (*body_bytes > 0 || method == "POST" || method == "PUT" || method == "PATCH") {
    headers.add("content-length", std::to_string(*body_bytes));
  }
  constexpr std::array<std::string_view, 5> kOwned{"host", "content-length", "transfer-encoding",
                                                   "connection", "expect"};
  for (const auto& [name, value] : given) {
    const auto same = [&name](std::string_view owned) { return iequals_ascii(owned, name); };
    if (std::ranges::none_of(kOwned, same)) headers.add(name, value);
  }
  std::string head;
  TACIT_CHECK(
      append_request_head(head, method, via_proxy ? route.url.text() : route.url.target, headers));
  return head;
}

}  // namespace

Result<Route> Client::State::route_to(Url url) const {
  Route route{.url = std::move(url), .proxy = std::nullopt, .key = {}};
  const auto& setting = route.url.secure ? options.https_proxy : options.http_proxy;
  if (!setting.empty() && options.unix_path.empty() &&
      !is_excluded(route.url.host, options.no_proxy)) {
    TACIT_TRY(route.proxy, parse_proxy(setting));
  }
  // Plain requests through a proxy share its connections, whatever their origin.
  if (route.proxy && !route.url.secure) {
    route.key = "proxy " + route.proxy->host + ' ' + std::to_string(route.proxy->port);
  } else {
    route.key = (route.url.secure ? "https " : "http ") + route.url.host + ' ' +
                std::to_string(route.url.port);
  }
  return route;
}

Result<std::shared_ptr<async::TlsClientContext>> Client::State::tls() {
  if (!options.tls) {
    TACIT_TRY(options.tls, async::TlsClientContext::create({}));
  }
  return options.tls;
}

Task<std::unique_ptr<ClientConnection>> Client::State::take_idle(std::string_view key) {
  const auto oldest = std::chrono::steady_clock::now() - kIdleConnectionAge;
  std::erase_if(idle, [oldest](const Idle& one) { return one.since < oldest; });
  for (;;) {
    const auto found = std::ranges::find(idle, key, &Idle::key);
    if (found == idle.end()) co_return nullptr;
    auto connection = std::move(found->connection);
    idle.erase(found);
    if (co_await connection->is_fresh()) co_return connection;
  }
}

void Client::State::keep(std::string key, std::unique_ptr<ClientConnection> connection) {
  if (options.limits.idle_connections_max == 0) return;
  if (idle.size() >= options.limits.idle_connections_max) idle.erase(idle.begin());
  idle.push_back({std::move(key), std::move(connection), std::chrono::steady_clock::now()});
}

Async<std::unique_ptr<async::Stream>> Client::State::tunnel(const Route& route, Deadline deadline) {
  const async::Endpoint proxy{
      .host = route.proxy->host, .port = route.proxy->port, .unix_path = {}};
  TACIT_CO_TRY(auto stream, co_await async::connect(proxy, nullptr, deadline));
  const bool v6 = route.url.host.find(':') != std::string::npos;
  const auto target =
      (v6 ? '[' + route.url.host + ']' : route.url.host) + ':' + std::to_string(route.url.port);
  Headers headers;
  headers.add("host", target);
  if (!route.proxy->authorization.empty())
    headers.add("proxy-authorization", route.proxy->authorization);
  std::string head;
  TACIT_CO_CHECK(append_request_head(head, "CONNECT", target, headers));
  ClientConnection connection{std::move(stream)};
  // Framed like HEAD: a tunnel has no body (RFC 9110, section 9.3.6).
  TACIT_CO_TRY(const auto response,
               co_await connection.exchange(head, {}, "HEAD", head_limits(), deadline));
  if (response.head.status < 200 || response.head.status > 299) {
    co_return fail(Error{Code::unavailable, "the proxy refused the connection"}.with(
        "status", response.head.status));
  }
  if (connection.has_unused_input())
    co_return fail(Code::malformed, "the proxy spoke before the server");
  TACIT_CO_TRY(auto context, tls());
  co_return co_await async::start_tls(std::move(connection).take_stream(), route.url.host,
                                      std::move(context), deadline);
}

Async<std::unique_ptr<ClientConnection>> Client::State::connect(const Route& route,
                                                                Deadline deadline) {
  deadline = deadline.at_most(options.limits.connect_timeout);
  if (route.proxy && route.url.secure) {
    TACIT_CO_TRY(auto stream, co_await tunnel(route, deadline));
    co_return std::make_unique<ClientConnection>(std::move(stream));
  }
  std::shared_ptr<async::TlsClientContext> context;
  if (route.url.secure) {
    TACIT_CO_TRY(context, tls());
  }
  const async::Endpoint endpoint{.host = route.proxy ? route.proxy->host : route.url.host,
                                 .port = route.proxy ? route.proxy->port : route.url.port,
                                 .unix_path = options.unix_path};
  TACIT_CO_TRY(auto stream, co_await async::connect(endpoint, std::move(context), deadline));
  co_return std::make_unique<ClientConnection>(std::move(stream));
}

namespace {

// What one hop needs; views are the caller's.
struct Hop {
  std::string_view method;
  const Headers& headers;
  BytesView body;
  Deadline deadline;
};

// The response on a connection, which goes back to the pool when it can carry another request.
template <class State>
std::unique_ptr<Response> response_on(std::unique_ptr<ClientConnection> connection,
                                      const std::shared_ptr<State>& state, const Route& route,
                                      ParsedResponse response) {
  auto give_back = [state, key = route.key](std::unique_ptr<ClientConnection> done) {
    state->keep(key, std::move(done));
  };
  return std::make_unique<ClientResponse>(std::move(response), route.url.text(),
                                          std::move(connection), state->options.limits.read_timeout,
                                          std::move(give_back));
}

Error connection_lost(const Route& route) {
  return Error{Code::unavailable, "the connection was lost"}.about(PublicText{route.url.authority});
}

// One request without redirects. State is Client's, named by the caller.
template <class State>
Async<std::unique_ptr<Response>> send_once(std::shared_ptr<State> state, Route route, Hop hop) {
  TACIT_CO_TRY(const auto head, make_head(route, hop.method, hop.headers, hop.body.size()));
  auto connection = co_await state->take_idle(route.key);
  bool reused = connection != nullptr;
  for (;;) {
    if (!connection) {
      TACIT_CO_TRY(connection, co_await state->connect(route, hop.deadline));
    }
    auto response = co_await connection->exchange(head, hop.body, hop.method, state->head_limits(),
                                                  hop.deadline);
    if (response) {
      co_return response_on(std::move(connection), state, route, *std::move(response));
    }
    const auto code = response.error().code();
    const bool stale =
        reused && !connection->heard() && (code == Code::unavailable || code == Code::io);
    if (!stale || !is_idempotent(hop.method)) {
      if (code == Code::io) co_return fail(connection_lost(route));
      co_return fail(std::move(response).error());
    }
    connection.reset();  // the server closed it just now: once more, on a new one
    reused = false;
  }
}

// A request with a chunked body (RFC 9112 section 7.1).
template <class State> class ClientUpload final : public Upload {
 public:
  ClientUpload(std::shared_ptr<State> state, Route route, std::string method,
               std::unique_ptr<ClientConnection> connection)
      : state_{std::move(state)},
        route_{std::move(route)},
        method_{std::move(method)},
        connection_{std::move(connection)} {}

  Async<void> write(BytesView bytes, Deadline deadline) override {
    if (bytes.empty() || !sent_) co_return Result<void>{};  // an empty chunk would be the last one
    const auto size = hex_size(bytes.size());
    const std::array parts{as_bytes(size), bytes, as_bytes("\r\n")};
    co_return co_await send(parts, deadline);
  }

  Async<std::unique_ptr<Response>> finish(Deadline deadline) override {
    if (!connection_) co_return fail(Code::invalid_argument, "the upload was finished before");
    if (sent_) {
      const std::array parts{as_bytes("0\r\n\r\n")};
      TACIT_CO_CHECK(co_await send(parts, deadline));
    }
    const HeadLimits limits = state_->head_limits();
    auto response = co_await connection_->receive(std::move(sent_), method_, limits, deadline);
    if (!response) {
      const auto code = response.error().code();
      if (code == Code::io) co_return fail(connection_lost(route_));
      co_return fail(std::move(response).error());
    }
    co_return response_on(std::move(connection_), state_, route_, *std::move(response));
  }

 private:
  static std::string hex_size(std::size_t n) {
    std::array<char, 2 * sizeof n> digits{};
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), n, 16).ptr;
    return std::string{digits.data(), end} + "\r\n";
  }
  // A lost connection is remembered: there may be an answer on it.
  Async<void> send(std::span<const BytesView> parts, Deadline deadline) {
    sent_ = co_await connection_->send(parts, deadline);
    if (!sent_ && sent_.error().code() != Code::io) co_return fail(sent_.error());
    co_return Result<void>{};
  }

  std::shared_ptr<State> state_;
  Route route_;
  std::string method_;
  std::unique_ptr<ClientConnection> connection_;
  Result<void> sent_;
};

}  // namespace

Client::Client(ClientOptions options) : state_{std::make_shared<State>(std::move(options))} {}
Client::~Client() = default;

Async<std::unique_ptr<Response>> Client::send(std::string method, std::string url, Headers headers,
                                              BytesView body, Deadline deadline) {
  const auto state = state_;  // outlives the client until the response is gone
  TACIT_CO_TRY(Url current, parse_url(url));
  const auto redirects_max = state->options.limits.redirects_max;
  for (std::size_t redirects = 0;; ++redirects) {
    TACIT_CO_TRY(Route route, state->route_to(current));
    const Hop hop{.method = method, .headers = headers, .body = body, .deadline = deadline};
    TACIT_CO_TRY(auto response, co_await send_once(state, std::move(route), hop));
    const int status = response->head().status;
    const auto location = response->head().headers.find("location");
    if (redirects_max == 0 || !is_redirect(status) || !location) co_return response;
    if (redirects == redirects_max) {
      co_return fail(Error{Code::malformed, "too many redirects"}.with(
          "limit", static_cast<std::int64_t>(redirects_max)));
    }
    TACIT_CO_TRY(Url next, resolve_url(current, *location));
    if (current.secure && !next.secure) {
      co_return fail(
          Error{Code::forbidden, "redirect from https to http"}.about(PublicText{next.authority}));
    }
    if (!next.same_origin(current)) {
      for (const auto* secret : {"authorization", "cookie", "proxy-authorization"})
        headers.remove(secret);
    }
    if (status == 303 || (status < 303 && method == "POST")) {
      if (method != "HEAD") method = "GET";
      body = {};
      headers.remove("content-type");
    }
    // A short body is read, so that the connection can be used again.
    (void)co_await read_all(*response, kRedirectBodyBytesMax, deadline);
    current = std::move(next);
  }
}

Async<std::unique_ptr<Upload>> Client::start(std::string method, std::string url, Headers headers,
                                             Deadline deadline) {
  const auto state = state_;
  TACIT_CO_TRY(Url target, parse_url(url));
  TACIT_CO_TRY(Route route, state->route_to(std::move(target)));
  TACIT_CO_TRY(const auto head, make_head(route, method, headers, std::nullopt));
  auto connection = co_await state->take_idle(route.key);
  const std::array parts{as_bytes(head)};
  // A pooled connection that the server has closed is replaced: nothing was sent.
  if (connection && !co_await connection->send(parts, deadline)) connection.reset();
  if (!connection) {
    TACIT_CO_TRY(connection, co_await state->connect(route, deadline));
    TACIT_CO_CHECK(co_await connection->send(parts, deadline));
  }
  co_return std::make_unique<ClientUpload<State>>(state, std::move(route), std::move(method),
                                                  std::move(connection));
}

Async<Bytes> read_all(Response& response, std::size_t body_bytes_max, Deadline deadline) {
  Bytes all;
  constexpr std::size_t kStep = 64 * 1024;
  for (;;) {
    const auto before = all.size();
    if (before > body_bytes_max) {
      co_return fail(Error{Code::too_large, "the response body is too large"}.with(
          "limit", static_cast<std::int64_t>(body_bytes_max)));
    }
    // One byte beyond the limit tells "exactly full" from "more".
    all.resize(before + std::min(kStep, body_bytes_max - before + 1));
    TACIT_CO_TRY(const auto n,
                 co_await response.read_some(std::span{all}.subspan(before), deadline));
    all.resize(before + n);
    if (n == 0) co_return all;
  }
}

}  // namespace tacit::http
