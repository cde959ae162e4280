// HMAC (RFC 2104, FIPS 198-1) and HKDF (RFC 5869) with SHA-256, SHA-384 or SHA-512, over OpenSSL.
//
// The classes hold OpenSSL's state so that a key schedule of a dozen steps pays for it once. They
// are not thread-safe; each is cheap enough to build one where it is needed. Sizes that do not fit
// the hash end the process: they are bugs, not input.
#pragma once

#include <memory>
#include <span>

#include "core/bytes.hpp"
#include "core/error.hpp"
#include "crypto/hash.hpp"

struct evp_mac_ctx_st;  // OpenSSL's EVP_MAC_CTX

namespace tacit::crypto {

// Hmac computes any number of authentication codes with one hash, under any number of keys.
class Hmac {
 public:
  // `hash` is SHA-2.
  explicit Hmac(HashId hash);

  HashId hash() const noexcept { return hash_; }

  // Writes HMAC(key, message) to `out`, whose size must be the digest's. A key of any size will do.
  void compute(BytesView key, Parts message, std::span<std::byte> out);

  // The same in steps, for messages whose number of parts is not known beforehand.
  void begin(BytesView key);
  // The key of the call before, once more: cheaper than begin.
  void begin_again();
  void update(BytesView part);
  void finish(std::span<std::byte> out);

 private:
  struct Free {
    void operator()(evp_mac_ctx_st* context) const noexcept;
  };
  HashId hash_;
  std::unique_ptr<evp_mac_ctx_st, Free> context_;
};

class Hkdf {
 public:
  explicit Hkdf(HashId hash) : hmac_{hash} {}

  // The size of a pseudorandom key (Nh in RFC 9180).
  std::size_t prk_bytes() const noexcept { return digest_bytes(hmac_.hash()); }

  // HKDF-Extract: writes the pseudorandom key to `prk`, of exactly prk_bytes().
  void extract(BytesView salt, Parts ikm, std::span<std::byte> prk);

  // HKDF-Expand: fills `out` from `prk`. Error: invalid_argument when `out` is larger than 255
  // digests, the RFC's limit.
  Result<void> expand(BytesView prk, Parts info, std::span<std::byte> out);

 private:
  Hmac hmac_;
};

}  // namespace tacit::crypto
