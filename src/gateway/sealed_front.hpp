// SealedFront stands before the gateway of one shard: it publishes the evidence and the keys, opens
// encapsulated requests (sealed HTTP and, where the service has keys for them, Oblivious HTTP and
// EHBP) and passes what is inside to the gateway, as it passes everything else.
#pragma once

#include "gateway/keys.hpp"
#include "gateway/sealed_service.hpp"
#include "http/exchange.hpp"
#include "seal/sealed_server.hpp"

namespace tacit::gateway {

struct SealedFrontOptions {
  std::size_t body_bytes_max = 32 * 1024 * 1024;  // of the request inside
  bool sealed_only = false;  // nothing but the evidence, sealed requests and /health in clear
};

class SealedFront final : public http::Handler {
 public:
  // `keys` is null when callers need no key. Everything outlives it.
  SealedFront(http::Handler& inner, SealedService& service, KeyStore* keys,
              SealedFrontOptions options);
  Task<> serve(http::Exchange& exchange) override;

 private:
  Task<> serve_evidence(http::Exchange& exchange);
  Task<> serve_configs(http::Exchange& exchange, Bytes configs);
  Task<> serve_ehbp(http::Exchange& exchange, std::string_view enc_hex);
  Task<> serve_sealed(http::Exchange& exchange);
  std::unique_ptr<seal::RequestOpener> make_opener(bool chunked, BytesView first,
                                                   seal::CallerDirectory& callers);
  // Who asks, by the API key in the header; nullopt for somebody without one. A request that may do
  // something is remembered. For protocols that prove no caller. Errors: refused(), overloaded.
  Result<std::optional<std::string>> admit(const http::RequestHead& request,
                                           const seal::ReplayNonce& nonce);

  http::Handler& inner_;
  SealedService& service_;
  SealedFrontOptions options_;
  std::optional<KeyView> keys_;
};

}  // namespace tacit::gateway
