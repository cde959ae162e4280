// Forwarder serves every API of a sealed server on loopback: it takes plain requests of
// applications on this machine and passes them through a Client.
#pragma once

#include "connect/client.hpp"
#include "http/exchange.hpp"

namespace tacit::connect {

struct ForwarderOptions {
  std::size_t body_bytes_max = 32 * 1024 * 1024;
  // The API key; empty: each request's own, from Authorization or X-Api-Key.
  SecretText api_key;
};

class Forwarder final : public http::Handler {
 public:
  // The client is of the same shard and outlives it.
  Forwarder(Client& client, ForwarderOptions options)
      : client_{client}, options_{std::move(options)} {}
  Task<> serve(http::Exchange& exchange) override;

 private:
  Async<void> forward(http::Exchange& exchange);
  Client& client_;
  ForwarderOptions options_;
};

}  // namespace tacit::connect
