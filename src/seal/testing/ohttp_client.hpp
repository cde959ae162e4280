// A client of Oblivious HTTP, plain and chunked (RFC 9458, draft-ietf-ohai-chunked-ohttp), for
// tests, benchmarks and fuzzers. Sans I/O.
#pragma once

#include <optional>

#include "core/bytes.hpp"
#include "crypto/hpke.hpp"
#include "seal/frames.hpp"
#include "seal/key_config.hpp"

namespace tacit::seal::testing {

enum class OhttpForm : std::uint8_t { plain, chunked };

// OhttpExchange seals one request and opens its answer.
class OhttpExchange {
 public:
  static Result<OhttpExchange> begin(OhttpForm form, const KeyConfig& config,
                                     const SymmetricSuite& suite);

  // The whole request. Chunked: in chunks of at most `chunk_bytes`, the last of which is final.
  Result<Bytes> request(BytesView message, std::size_t chunk_bytes = 16384);
  // The whole answer. Errors: corrupt, malformed.
  Result<Bytes> open(BytesView answer) const;

  BytesView enc() const noexcept { return sender_.enc(); }

 private:
  OhttpExchange(OhttpForm form, Bytes header, crypto::HpkeSender sender) noexcept
      : form_{form}, header_{std::move(header)}, sender_{std::move(sender)} {}
  OhttpForm form_;
  Bytes header_;
  crypto::HpkeSender sender_;
};

}  // namespace tacit::seal::testing
