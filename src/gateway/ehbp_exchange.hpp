// Private to gateway: an exchange whose bodies are sealed with EHBP; the rest is the outer one's.
#pragma once

#include "http/exchange.hpp"
#include "seal/ehbp.hpp"

namespace tacit::gateway {

class EhbpExchange final : public http::Exchange {
 public:
  EhbpExchange(http::Exchange& outer, seal::EhbpOpener::Parts parts, BytesView enc,
               std::size_t body_bytes_max);

  // Reads until the first frame has opened. Errors: refused(), cancelled.
  Async<void> open();
  seal::ReplayNonce replay_nonce() const noexcept { return opener_.replay_nonce(); }

  const http::RequestHead& request() const override { return request_; }
  http::Carrier carrier() const override { return outer_.carrier(); }
  std::string_view id() const override { return outer_.id(); }
  Deadline deadline() const override { return outer_.deadline(); }
  Async<std::size_t> read_some(std::span<std::byte> into) override;
  Async<void> respond(http::ResponseHead head, BytesView body) override;
  Async<void> start(http::ResponseHead head) override;
  Async<void> write(BytesView bytes) override;
  Async<void> finish() override { co_return co_await outer_.finish(); }
  bool responded() const override { return outer_.responded(); }

 private:
  Async<void> open_more();

  http::Exchange& outer_;
  seal::EhbpOpener opener_;
  std::size_t body_bytes_left_;
  http::RequestHead request_;
  std::optional<seal::EhbpAnswer> answer_;
  SecretText content_;  // opened and not yet read
  std::size_t content_read_ = 0;
};

}  // namespace tacit::gateway
