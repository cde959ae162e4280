// A remote server to chat with, through the sealed channel: the other half of `tacit run --via`.
#pragma once

#include <memory>
#include <string>

#include "cli/environment.hpp"
#include "cli/http_environment.hpp"
#include "connect/chat_backend.hpp"

namespace tacit::cli {

struct SealedChatOptions {
  std::string url;
  std::string trust;     // fingerprint; empty: pinned at first use
  std::string key_file;  // empty: TACIT_API_KEY
  std::string model;
};

// What was proved about a server, in one line.
std::string proof_line(std::string_view url, bool trusted_by_name, const connect::Proof& proof);

class SealedChat {
 public:
  SealedChat(const Environment& environment, SealedChatOptions options,
             asio::any_io_executor executor);

  // Gets the server's evidence and decides; says on standard error what was proved, unless `quiet`.
  // Errors: as connect::Client::appraise; those of the key file.
  Async<std::shared_ptr<domain::Backend>> open(bool quiet);
  // Keeps the server's key fresh, until cancelled.
  Task<> keep_fresh() { return client_.keep_fresh(); }

 private:
  const Environment& environment_;
  const SealedChatOptions options_;
  SystemClock clock_;
  NullLogger log_;
  connect::KnownServers known_;
  connect::Client client_;
};

}  // namespace tacit::cli
