// SealedFront stands before the gateway of one shard: it publishes the evidence, opens sealed
// requests and passes what is inside to the gateway, as it passes everything else.
#pragma once

#include "gateway/keys.hpp"
#include "gateway/sealed_service.hpp"
#include "http/exchange.hpp"

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
  Task<> serve_sealed(http::Exchange& exchange);

  http::Handler& inner_;
  SealedService& service_;
  SealedFrontOptions options_;
  std::optional<KeyView> keys_;
};

}  // namespace tacit::gateway
