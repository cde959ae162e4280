// A server's front in this process, with what it serves behind it: for programs that send it
// altered requests and look at the answers.
#pragma once

#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>

#include "core/log.hpp"
#include "gateway/sealed_front.hpp"
#include "seal/sealed_client.hpp"

namespace tacit::adversary {

// What an outsider sees of an answer.
struct Seen {
  int status = 0;
  std::string type;
  std::string cache;
  std::string body;
  friend bool operator==(const Seen&, const Seen&) = default;
};

class Front {
 public:
  Front();
  ~Front();

  // A sealed request of a client with `key` (empty: none).
  Bytes sealed(std::string_view key, std::string_view method, std::string_view body);
  Seen post(std::string wire);
  // Requests that the server took to be whole and genuine, so far.
  std::size_t num_accepted() const noexcept;
  std::string_view key() const noexcept { return key_; }
  Bytes evidence(const seal::EvidenceNonce& nonce) const { return service_->evidence(nonce); }
  const ManualClock& clock() const noexcept { return clock_; }
  const seal::ServerKey& server() const noexcept { return *server_; }

 private:
  class Inner;
  std::string folder_;
  ManualClock clock_;
  NullLogger log_;
  std::unique_ptr<gateway::KeyStore> keys_;
  std::string key_;
  std::unique_ptr<gateway::SealedService> service_;
  std::unique_ptr<Inner> inner_;
  std::unique_ptr<gateway::SealedFront> front_;
  std::optional<seal::ServerKey> server_;
  boost::asio::io_context io_{1};
};

}  // namespace tacit::adversary
