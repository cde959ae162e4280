// SHA-256 (FIPS 180-4) and HMAC-SHA-256 (RFC 2104), over OpenSSL.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <string>

#include "core/bytes.hpp"

namespace tacit::crypto {

using Sha256Digest = std::array<std::byte, 32>;

// Sha256 hashes a stream. Not thread-safe; movable.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  void update(BytesView bytes);
  // The digest of everything so far; the object must not be used afterwards.
  Sha256Digest finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

Sha256Digest sha256(BytesView bytes);
std::string sha256_hex(BytesView bytes);
Sha256Digest hmac_sha256(BytesView key, BytesView message);

}  // namespace tacit::crypto
