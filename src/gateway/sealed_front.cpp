#include "gateway/sealed_front.hpp"

#include <array>

#include <boost/asio/this_coro.hpp>

#include "api/error_map.hpp"
#include "core/text.hpp"
#include "gateway/ehbp_exchange.hpp"
#include "gateway/sealed_exchange.hpp"
#include "seal/sealed_server.hpp"

namespace tacit::gateway {
namespace {

constexpr std::size_t kFirstBytes = 16 * 1024;

// RFC 9458 section 5.3. The same whatever is wrong: the client gets fresh evidence and tries again.
constexpr std::string_view kRefusal =
    R"({"type":"https://iana.org/assignments/http-problem-types#ohttp-key",)"
    R"("title":"the encapsulated request was not accepted"})";
// EHBP section 5.4.2. Likewise.
constexpr std::string_view kEhbpRefusal = R"({"type":"urn:ietf:params:ehbp:error:key-config",)"
                                          R"("title":"the encrypted request was not accepted"})";
constexpr std::string_view kProblem = "application/problem+json";

// The callers of one request: remembers who was found.
class Callers final : public seal::CallerDirectory {
 public:
  explicit Callers(std::optional<KeyView>& keys) : keys_{keys} {}
  std::optional<Caller> find(const seal::PskId& id) override {
    auto anyone = seal::anonymous_caller();
    if (id == anyone.id) {
      // Where keys are needed, one without a key may ask for nothing that is worth repeating.
      if (!keys_) proven_.emplace();
      return Caller{std::move(anyone.psk), keys_.has_value()};
    }
    if (!keys_) return std::nullopt;  // nobody here can know a key
    auto found = keys_->find_sealed(id);
    if (!found) return std::nullopt;
    proven_ = std::move(found->owner.key_id);
    return Caller{std::move(found->psk)};
  }
  // nullopt: somebody without a key, where one is needed.
  const std::optional<std::string>& proven() const noexcept { return proven_; }

 private:
  std::optional<KeyView>& keys_;
  std::optional<std::string> proven_;
};

Task<> respond_text(http::Exchange& exchange, int status, std::string_view type,
                    std::string_view body) {
  http::ResponseHead head{status, {}};
  head.headers.add("content-type", std::string{type});
  head.headers.add("cache-control", "no-store");
  (void)co_await exchange.respond(std::move(head),
                                  as_bytes(body));  // a client that left is no error
}

Task<> respond_error(http::Exchange& exchange, const Error& error) {
  co_await respond_text(exchange, api::error_shape(error.code()).status, "application/json",
                        api::openai_error(error));
}

}  // namespace

SealedFront::SealedFront(http::Handler& inner, SealedService& service, KeyStore* keys,
                         SealedFrontOptions options)
    : inner_{inner}, service_{service}, options_{options} {
  if (keys != nullptr) keys_.emplace(*keys, service.clock());
}

Task<> SealedFront::serve(http::Exchange& exchange) {
  const auto& request = exchange.request();
  const auto path = request.path();
  const bool get = request.method == "GET" || request.method == "HEAD";
  const auto now = service_.clock().wall();
  auto* const ehbp = service_.ehbp();
  const auto ehbp_enc = ehbp != nullptr ? request.headers.find(seal::kEhbpKeyField) : std::nullopt;
  if (path == seal::kEvidencePath && get) {
    co_await serve_evidence(exchange);
  } else if (service_.ohttp() != nullptr && get &&
             (path == seal::kSealedPath || path == seal::kOhttpConfigsPath)) {
    co_await serve_configs(exchange, seal::encode_key_configs(service_.ohttp()->configs(now)));
  } else if (ehbp != nullptr && get && path == seal::kEhbpKeysPath) {
    co_await serve_configs(exchange, seal::ehbp_key_config(*ehbp, now));
  } else if (path == seal::kSealedPath && request.method == "POST") {
    co_await serve_sealed(exchange);
  } else if (ehbp_enc) {
    co_await serve_ehbp(exchange, *ehbp_enc);
  } else if (options_.sealed_only && path != "/health") {
    co_await respond_error(
        exchange, Error{Code::forbidden, "this server answers sealed requests only"}.fix(
                      "Run `tacit connect URL` and send the request to the address it prints"));
  } else {
    co_await inner_.serve(exchange);
  }
}

Task<> SealedFront::serve_evidence(http::Exchange& exchange) {
  constexpr std::string_view parameter = "nonce=";
  const auto query = exchange.request().query();
  seal::EvidenceNonce nonce{};
  if (!query.empty()) {
    const auto bytes =
        query.starts_with(parameter) ? from_hex(query.substr(parameter.size())) : std::nullopt;
    if (!bytes || bytes->size() != nonce.size()) {
      co_await respond_error(
          exchange, Error{Code::invalid_argument, "nonce is not 64 hexadecimal digits"}.fix(
                        "Ask for /.well-known/tacit/evidence?nonce=HEX with 32 random bytes"));
      co_return;
    }
    std::ranges::copy(*bytes, nonce.begin());
  }
  const auto document = co_await service_.fresh_evidence(nonce, exchange.deadline());
  if (document) {
    co_await respond_text(exchange, 200, seal::kEvidenceMediaType, as_text(*document));
  } else if (document.error().code() != Code::cancelled) {
    co_await respond_error(exchange, document.error());
  }
}

Task<> SealedFront::serve_configs(http::Exchange& exchange, Bytes configs) {
  http::ResponseHead head{200, {}};
  head.headers.add("content-type", std::string{seal::kOhttpKeysMediaType});
  head.headers.add("cache-control",
                   "max-age=" + std::to_string(service_.configs_age_max().count()));
  (void)co_await exchange.respond(std::move(head), configs);  // a client that left is no error
}

Task<> SealedFront::serve_ehbp(http::Exchange& outer, std::string_view enc_hex) {
  const auto enc = from_hex(enc_hex);
  if (!enc || enc->size() != seal::kEhbpEncBytes) {
    co_await respond_error(
        outer, Error{Code::malformed, "Ehbp-Encapsulated-Key"}.fix("It has 64 hexadecimal digits"));
    co_return;
  }
  EhbpExchange inner{outer, {*service_.ehbp(), service_.clock()}, *enc, options_.body_bytes_max};
  auto opened = co_await inner.open();
  if (!opened && opened.error().code() == Code::cancelled) co_return;
  if (opened) {
    const auto admitted = admit(inner.request(), inner.replay_nonce());
    if (!admitted) opened = fail(admitted.error());
  }
  if (!opened) {
    const int status = opened.error().code() == Code::overloaded ? 503 : 422;
    co_await respond_text(outer, status, kProblem, kEhbpRefusal);
    co_return;
  }
  co_await inner_.serve(inner);
  if (!inner.responded()) co_await respond_error(inner, Error{Code::internal, "no answer"});
}

std::unique_ptr<seal::RequestOpener> SealedFront::make_opener(bool chunked, BytesView first,
                                                              seal::CallerDirectory& callers) {
  if (auto* keys = service_.ohttp()) {
    const seal::OhttpParts parts{*keys, service_.clock()};
    if (!chunked) {
      return std::make_unique<seal::OhttpOpener>(
          parts, options_.body_bytes_max + seal::BhttpLimits{}.head_bytes_max);
    }
    // The two share a media type; the number of the key tells them apart.
    if (!first.empty() && std::to_integer<std::uint8_t>(first[0]) < seal::kSealedKeyIdMin) {
      return std::make_unique<seal::ChunkedOhttpOpener>(parts);
    }
  }
  return std::make_unique<seal::SealedOpener>(
      seal::SealedOpener::Parts{service_.keys(), callers, service_.replays(), service_.clock()});
}

Result<std::optional<std::string>> SealedFront::admit(const http::RequestHead& request,
                                                      const seal::ReplayNonce& nonce) {
  std::optional<std::string> caller;
  if (!keys_) {
    caller.emplace();
  } else if (auto owner = keys_->verify(http::api_key_of(request.headers))) {
    caller = std::move(owner->key_id);
  }
  if (!caller) return caller;  // it gets nothing that is worth repeating
  const auto now = service_.clock().wall();
  if (const auto first = service_.undated().admit(nonce, now, now); !first) {
    if (first.error().code() == Code::overloaded) return fail(first.error());
    return fail(seal::refused());
  }
  return caller;
}

Task<> SealedFront::serve_sealed(http::Exchange& outer) {
  const auto type = trim_ascii(outer.request().headers.find("content-type").value_or(""));
  const bool chunked = iequals_ascii(type, seal::kRequestMediaType);
  const bool plain =
      service_.ohttp() != nullptr && iequals_ascii(type, seal::kOhttpRequestMediaType);
  if (!chunked && !plain) {
    co_await respond_text(outer, 415, "application/json",
                          api::openai_error(Error{Code::unsupported, "no sealed request"}.fix(
                              "Send Content-Type: message/ohttp-chunked-req")));
    co_return;
  }
  std::array<std::byte, kFirstBytes> buffer;
  const auto n = co_await outer.read_some(buffer);
  if (!n && n.error().code() == Code::cancelled) co_return;
  const auto first = BytesView{buffer}.first(n.value_or(0));
  Callers callers{keys_};
  auto opener = make_opener(chunked, first, callers);
  opener->feed(first);
  if (first.empty()) opener->end();
  SealedExchange inner{outer, std::move(opener), options_.body_bytes_max,
                       co_await asio::this_coro::executor};
  auto opened = co_await inner.open();
  if (!opened && opened.error().code() == Code::cancelled) co_return;
  bool refused = !opened && !inner.can_answer();
  inner.set_caller(callers.proven());
  const auto nonce = inner.opener().replay_nonce();
  if (opened && nonce) {
    auto caller = admit(inner.request(), *nonce);
    refused = !caller;
    if (caller) {
      inner.set_caller(*std::move(caller));
    } else {
      opened = fail(caller.error());
    }
  }
  if (refused) {
    const int status = opened.error().code() == Code::overloaded ? 503 : 400;
    co_await respond_text(outer, status, kProblem, kRefusal);
    co_return;
  }
  if (opened) {
    co_await inner_.serve(inner);
  } else {
    co_await respond_error(inner, opened.error());
  }
  if (!inner.responded()) {
    co_await respond_error(inner, Error{Code::internal, "no answer"});
  }
  co_await inner.close();
}

}  // namespace tacit::gateway
