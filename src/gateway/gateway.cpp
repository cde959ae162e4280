#include "gateway/gateway.hpp"

#include <fmt/format.h>

#include "api/anthropic/messages.hpp"
#include "api/error_map.hpp"
#include "api/llama/llama.hpp"
#include "api/ollama/ollama.hpp"
#include "api/openai/chat.hpp"
#include "api/openai/completions.hpp"
#include "api/openai/embeddings.hpp"
#include "api/openai/models.hpp"
#include "api/openai/responses.hpp"
#include "gateway/call.hpp"

namespace tacit::gateway {
namespace {

constexpr std::string_view kJson = "application/json";

Task<> health(Gateway::Call& call) {
  const auto body = fmt::format(R"({{"status":"ok","version":"{}"}})", call.options.version);
  co_await respond(call, 200, kJson, body);
}

Task<> metrics(Gateway::Call& call) {
  const auto body = call.parts.metrics.render(call.parts.gauges(), call.parts.open_connections());
  co_await respond(call, 200, "text/plain; version=0.0.4; charset=utf-8", body);
}

Task<> list_models(Gateway::Call& call) {
  const auto body = api::openai::render_models(call.parts.models.list(), call.unix_s());
  co_await respond(call, 200, kJson, body);
}

Task<> get_model(Gateway::Call& call) {
  for (const auto& model : call.parts.models.list()) {
    if (model.name != call.path_tail) continue;
    const auto body = api::openai::render_model(model, call.unix_s());
    co_await respond(call, 200, kJson, body);
    co_return;
  }
  const auto missing =
      Error{Code::not_found, "no such model"}.fix("GET /v1/models lists what this server has");
  co_await respond_error(call, missing, kModelNotFound);
}

}  // namespace

struct Gateway::Route {
  std::string_view method;
  std::string_view path;  // a trailing '/' matches any non-empty tail without '/'
  bool needs_key;
  std::string_view name;  // in logs
  Task<> (*handler)(Call&);
  const api::Dialect* dialect = &api::openai::kDialect;
  api::Parse parse = nullptr;  // for `generation`
};

namespace {

constexpr const auto* kOpenAi = &api::openai::kDialect;
constexpr const auto* kAnthropic = &api::anthropic::kDialect;
constexpr const auto* kLlama = &api::llama::kDialect;
constexpr const auto* kOllama = &api::ollama::kDialect;

// Everything that is served. A new API adds its lines here.
const Gateway::Route kRoutes[] = {
    {"GET", "/health", false, "health", health},
    {"GET", "/metrics", true, "metrics", metrics},
    {"GET", "/v1/models", true, "models.list", list_models},
    {"GET", "/v1/models/", true, "models.get", get_model},
    {"POST", "/v1/chat/completions", true, "chat", generation, kOpenAi, api::openai::chat},
    {"POST", "/v1/completions", true, "completions", generation, kOpenAi, api::openai::completions},
    {"POST", "/v1/embeddings", true, "embeddings", generation, kOpenAi, api::openai::embeddings},
    {"POST", "/v1/responses", true, "responses", generation, kOpenAi, api::openai::responses},
    {"POST", "/v1/messages", true, "messages", generation, kAnthropic, api::anthropic::messages},
    {"POST", "/v1/messages/count_tokens", true, "messages.count", generation, kAnthropic,
     api::anthropic::count_tokens},
    {"POST", "/api/chat", true, "ollama.chat", generation, kOllama, api::ollama::chat},
    {"POST", "/api/generate", true, "ollama.generate", generation, kOllama, api::ollama::generate},
    {"POST", "/api/embed", true, "ollama.embed", generation, kOllama, api::ollama::embed},
    {"POST", "/api/embeddings", true, "ollama.embeddings", generation, kOllama,
     api::ollama::embeddings},
    {"POST", "/tokenize", true, "llama.tokenize", generation, kLlama, api::llama::tokenize},
    {"POST", "/detokenize", true, "llama.detokenize", generation, kLlama, api::llama::detokenize},
    {"POST", "/apply-template", true, "llama.template", generation, kLlama,
     api::llama::apply_template},
    {"POST", "/completion", true, "llama.completion", generation, kLlama, api::llama::completion},
    {"POST", "/embedding", true, "llama.embedding", generation, kLlama, api::llama::embedding},
    {"GET", "/api/tags", true, "ollama.tags", ollama_tags, kOllama},
    {"GET", "/api/ps", true, "ollama.ps", ollama_ps, kOllama},
    {"GET", "/api/version", false, "ollama.version", ollama_version, kOllama},
    {"POST", "/api/show", true, "ollama.show", ollama_show, kOllama},
};

bool matches(const Gateway::Route& route, std::string_view path) {
  if (!route.path.ends_with('/')) return path == route.path;
  return path.size() > route.path.size() && path.starts_with(route.path) &&
         path.find('/', route.path.size()) == std::string_view::npos;
}

struct Found {
  const Gateway::Route* route = nullptr;
  std::string allow;  // methods of the path, for 405 and OPTIONS
  const api::Dialect* dialect = &api::openai::kDialect;
};

Found find_route(std::string_view method, std::string_view path) {
  Found found;
  for (const auto& route : kRoutes) {
    if (!matches(route, path)) continue;
    found.dialect = route.dialect;
    const bool head = method == "HEAD" && route.method == "GET";
    if (method == route.method || head) found.route = &route;
    if (!found.allow.empty()) found.allow += ", ";
    found.allow += route.method == "GET" ? "GET, HEAD" : route.method;
  }
  if (!found.allow.empty()) found.allow += ", OPTIONS";
  return found;
}

}  // namespace

Gateway::Gateway(GatewayParts parts, GatewayOptions options)
    : parts_{std::move(parts)}, options_{std::move(options)} {
  if (parts_.keys != nullptr) keys_.emplace(*parts_.keys, parts_.clock);
}

Gateway::~Gateway() = default;

std::optional<Principal> Gateway::authenticate(const http::Exchange& exchange) {
  if (!options_.require_key) return Principal{};
  if (exchange.carrier() == http::Carrier::sealed) {
    // Only the proof counts, not a header: what a header lets in could be repeated.
    const auto caller = exchange.proven_caller();
    return caller ? std::optional{Principal{std::string{*caller}}} : std::nullopt;
  }
  const auto key = http::api_key_of(exchange.request().headers);
  if (key.empty() || !keys_) return std::nullopt;
  return keys_->verify(key);
}

Task<> Gateway::serve(http::Exchange& exchange) {
  Call call{.exchange = exchange, .parts = parts_, .options = options_};
  call.begun = parts_.clock.now();
  co_await dispatch(call);
  wipe_stack();
  if (call.status > 0) {
    parts_.metrics.shard(parts_.shard_index)
        .requests_by_status[static_cast<std::size_t>(call.status / 100)]
        .add();
  }
}

Task<> Gateway::dispatch(Call& call) {
  const auto& request = call.exchange.request();
  const auto found = find_route(request.method, request.path());
  call.dialect = found.dialect;
  if (found.allow.empty()) {
    co_await respond_error(call,
                           Error{Code::not_found, "no such path"}.fix("The API is under /v1"));
    co_return;
  }
  if (request.method == "OPTIONS") {
    http::Headers headers;
    headers.add("allow", found.allow);
    co_await respond(call, 204, {}, {}, std::move(headers));
    co_return;
  }
  if (found.route == nullptr) {
    http::Headers headers;
    headers.add("allow", found.allow);
    const Error error{Code::unsupported, "this path does not allow this method"};
    co_await respond(call, 405, kJson, call.dialect->error(error, {}), std::move(headers));
    co_return;
  }
  const auto& route = *found.route;
  call.parse = route.parse;
  if (route.needs_key) {
    auto principal = authenticate(call.exchange);
    if (!principal) {
      call.metrics().auth_failures.add();
      const auto error = Error{Code::unauthenticated, "missing or unknown API key"}.fix(
          "Send 'Authorization: Bearer KEY'; `tacit key create` makes one");
      co_await respond_error(call, error);
      co_return;
    }
    call.principal = std::move(*principal);
  }
  if (route.path.ends_with('/')) call.path_tail = request.path().substr(route.path.size());
  co_await route.handler(call);
  const auto us =
      std::chrono::duration_cast<std::chrono::microseconds>(parts_.clock.now() - call.begun)
          .count();
  parts_.log.debug("request.done", {{"id", PublicText{std::string{call.exchange.id()}}},
                                    {"route", PublicText{std::string{route.name}}},
                                    {"status", call.status},
                                    {"us", us}});
}

Task<> respond(Gateway::Call& call, int status, std::string_view content_type,
               std::string_view body, http::Headers headers) {
  http::ResponseHead head{status, std::move(headers)};
  if (!content_type.empty()) head.headers.add("content-type", std::string{content_type});
  const auto sent = co_await call.exchange.respond(std::move(head), as_bytes(body));
  if (sent) call.status = status;
}

Task<> respond_error(Gateway::Call& call, const Error& error, std::string_view code) {
  const auto shape = api::error_shape(error.code());
  http::Headers headers;
  if (shape.retry_after_s > 0) headers.add("retry-after", std::to_string(shape.retry_after_s));
  if (shape.status == 401) headers.add("www-authenticate", "Bearer");
  const auto body = call.dialect->error(error, code);
  co_await respond(call, shape.status, kJson, body, std::move(headers));
}

}  // namespace tacit::gateway
