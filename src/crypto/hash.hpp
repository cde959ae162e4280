// Hash functions over OpenSSL: SHA-2 (FIPS 180-4), SHA-3 and SHAKE (FIPS 202), and HMAC-SHA-256
// (RFC 2104; hkdf.hpp has HMAC with the other hashes).
//
// These functions cannot fail in normal life and return no Result. Thread-safe unless said
// otherwise.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>

#include "core/bytes.hpp"

namespace tacit::crypto {

// Parts is a message in pieces, hashed as if they stood one after another.
using Parts = std::initializer_list<BytesView>;

enum class HashId : std::uint8_t { sha256, sha384, sha512, sha3_256, sha3_512 };

constexpr std::size_t digest_bytes(HashId hash) noexcept {
  switch (hash) {
    case HashId::sha384: return 48;
    case HashId::sha512:
    case HashId::sha3_512: return 64;
    case HashId::sha256:
    case HashId::sha3_256: break;
  }
  return 32;
}
inline constexpr std::size_t kDigestBytesMax = 64;

using Sha1Digest = std::array<std::byte, 20>;
using Sha256Digest = std::array<std::byte, 32>;
using Sha384Digest = std::array<std::byte, 48>;
using Sha512Digest = std::array<std::byte, 64>;
using Sha3Digest = std::array<std::byte, 32>;

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

// digest writes the hash of `message` to `out`, whose size must be digest_bytes(hash): anything
// else ends the process, because it is a bug that would leave part of `out` as it was.
void digest(HashId hash, Parts message, std::span<std::byte> out);

Sha256Digest sha256(BytesView bytes);
std::string sha256_hex(BytesView bytes);
Sha384Digest sha384(BytesView bytes);
Sha512Digest sha512(BytesView bytes);
Sha3Digest sha3_256(BytesView bytes);

// SHA-1 (FIPS 180-4), whose collisions anyone can buy: only for the names that OCSP gives to
// issuers and for reading what old TPM banks and event logs hold. Never for a decision.
Sha1Digest sha1(Parts message);

// shake128 and shake256 fill `out`, of any size, from `message`.
void shake128(Parts message, std::span<std::byte> out);
void shake256(Parts message, std::span<std::byte> out);

Sha256Digest hmac_sha256(BytesView key, BytesView message);

}  // namespace tacit::crypto
