// Gateway: the HTTP surface of `tacit serve`. Who asks, what they may, which model answers.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/log.hpp"
#include "core/time.hpp"
#include "domain/backend.hpp"
#include "gateway/cache_salts.hpp"
#include "gateway/keys.hpp"
#include "gateway/metrics.hpp"
#include "http/exchange.hpp"

namespace tacit::gateway {

struct GatewayOptions {
  std::size_t body_bytes_max = 32 * 1024 * 1024;
  bool require_key = true;  // off only by `--no-auth`
  std::string version;      // for /health
  // The share of a busy engine that a key's requests get, by its id; 1 where none is named.
  std::map<std::string, std::uint32_t, std::less<>> weights = {};
};

// What a gateway needs from outside; everything outlives it.
struct GatewayParts {
  domain::ModelProvider& models;  // this shard's
  KeyStore* keys;                 // null only when require_key is off
  Metrics& metrics;
  std::size_t shard_index;
  const Clock& clock;
  Logger& log;
  std::function<std::vector<ModelGauges>()> gauges;  // thread-safe
  std::function<std::size_t()> open_connections;     // thread-safe
  // Of all shards, which share workers; null: no prompt's cache is kept.
  const CacheSalts* cache_salts = nullptr;
};

// Gateway serves one shard. The route table in gateway.cpp lists everything that is served.
class Gateway final : public http::Handler {
 public:
  Gateway(GatewayParts parts, GatewayOptions options);
  ~Gateway() override;
  Task<> serve(http::Exchange& exchange) override;

  struct Call;  // one request on its way through the gateway (private to the module)
  struct Route;

 private:
  Task<> dispatch(Call& call);
  std::optional<Principal> authenticate(const http::Exchange& exchange);

  GatewayParts parts_;
  GatewayOptions options_;
  std::optional<KeyView> keys_;
};

}  // namespace tacit::gateway
