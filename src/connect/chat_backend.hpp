// ChatBackend answers generation requests by a remote server, through the sealed channel: what
// `tacit run --via` puts in the place of a worker.
#pragma once

#include <string>

#include "connect/client.hpp"
#include "domain/backend.hpp"

namespace tacit::connect {

class ChatBackend final : public domain::Backend {
 public:
  // The client is of the same shard and outlives it and its generations. `api_key`: empty for none.
  ChatBackend(Client& client, std::string model, SecretText api_key);

  const domain::ModelInfo& model() const override { return model_; }
  // Waits for the head of the answer. Errors: unsupported (what a plain chat cannot say), not_found
  // and the like in the server's words; as Client::send.
  Async<std::unique_ptr<domain::Generation>> generate(domain::GenerateRequest request,
                                                      Deadline deadline) override;

 private:
  Client& client_;
  domain::ModelInfo model_;
  SecretText api_key_;
};

}  // namespace tacit::connect
