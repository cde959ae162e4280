// Who vouches for this machine, as far as the gateway needs to know: it asks for a bundle
// (docs/spec/evidence.md) and passes it on unread.
#pragma once

#include "core/bytes.hpp"
#include "core/error.hpp"
#include "crypto/hash.hpp"
#include "seal/statement.hpp"

namespace tacit::gateway {

class EvidenceSource {
 public:
  virtual ~EvidenceSource() = default;
  virtual seal::Attester attester() const = 0;  // never none
  // Bound to both. Blocks for as long as the hardware takes; called on one thread at a time, never
  // on a shard.
  virtual Result<Bytes> bundle(const seal::EvidenceNonce& nonce,
                               const crypto::Sha256Digest& statement) = 0;
};

}  // namespace tacit::gateway
