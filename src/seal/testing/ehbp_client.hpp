// A client of EHBP, for tests and fuzzers. Sans I/O.
#pragma once

#include "core/bytes.hpp"
#include "crypto/hpke.hpp"
#include "seal/key_config.hpp"

namespace tacit::seal::testing {

class EhbpExchange {
 public:
  // For the configuration published.
  static Result<EhbpExchange> begin(BytesView config);

  BytesView enc() const noexcept { return sender_.enc(); }
  // The next frame of the request.
  Result<Bytes> frame(BytesView data);
  // The whole answer. Errors: corrupt, malformed.
  Result<Bytes> open(BytesView nonce, BytesView answer) const;

 private:
  explicit EhbpExchange(crypto::HpkeSender sender) noexcept : sender_{std::move(sender)} {}
  crypto::HpkeSender sender_;
};

}  // namespace tacit::seal::testing
