// Authenticated encryption with associated data over OpenSSL: AES-128-GCM, AES-256-GCM (SP
// 800-38D) and ChaCha20-Poly1305 (RFC 8439), with 12-byte nonces and 16-byte tags.
//
// What is sealed is ciphertext followed by tag. Output goes to the caller's buffer, which may start
// exactly where the input does (in place); any other overlap is refused. No call of Aead or
// AeadSequence allocates.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "core/bytes.hpp"
#include "core/error.hpp"
#include "core/secret.hpp"

struct evp_cipher_ctx_st;  // OpenSSL's EVP_CIPHER_CTX

namespace tacit::crypto {

// The numbers of IANA's "HPKE AEAD Identifiers".
enum class AeadId : std::uint16_t {
  aes_128_gcm = 0x0001,
  aes_256_gcm = 0x0002,
  chacha20_poly1305 = 0x0003,
  export_only = 0xffff,  // HPKE without encryption; no Aead can be made of it
};

inline constexpr std::size_t kAeadNonceBytes = 12;
inline constexpr std::size_t kAeadTagBytes = 16;
// The longest message that one call takes: far below every algorithm's own limit.
inline constexpr std::size_t kAeadMessageBytesMax = std::size_t{1} << 30;

using AeadNonce = std::array<std::byte, kAeadNonceBytes>;
using AeadTag = std::array<std::byte, kAeadTagBytes>;

constexpr std::size_t aead_key_bytes(AeadId id) noexcept {
  switch (id) {
    case AeadId::aes_128_gcm: return 16;
    case AeadId::aes_256_gcm:
    case AeadId::chacha20_poly1305: return 32;
    case AeadId::export_only: break;
  }
  return 0;
}

// Aead holds one key, set once; each message brings its nonce. Never use a nonce twice for sealing:
// AeadSequence below sees to that. Movable; not thread-safe.
class Aead {
 public:
  // Errors: unsupported for export_only, invalid_argument for a key of another size.
  static Result<Aead> make(AeadId id, BytesView key);

  AeadId id() const noexcept { return id_; }

  // Writes ciphertext and tag to `out`, of exactly plaintext.size() + kAeadTagBytes.
  // Errors: invalid_argument for another size or a partial overlap, too_large.
  Result<void> seal(const AeadNonce& nonce, BytesView aad, BytesView plaintext,
                    std::span<std::byte> out);

  // Writes the plaintext to `out`, of exactly sealed.size() - kAeadTagBytes. When the tag is wrong
  // the result is Code::corrupt "authentication failed" and `out` holds zeros: no byte of an
  // unauthenticated plaintext leaves (in place, the ciphertext is gone, too).
  // Other errors: as seal; malformed when `sealed` is shorter than a tag.
  Result<void> open(const AeadNonce& nonce, BytesView aad, BytesView sealed,
                    std::span<std::byte> out);

 private:
  struct Free {
    void operator()(evp_cipher_ctx_st* context) const noexcept;
  };
  Aead(AeadId id, evp_cipher_ctx_st* context) noexcept : id_{id}, context_{context} {}

  AeadId id_;
  std::unique_ptr<evp_cipher_ctx_st, Free> context_;
};

// For one message under a key: the same, with the set-up of the key and the buffers inside. The
// plaintext comes back as a secret, wiped when it goes.
Result<Bytes> aead_seal_once(AeadId id, BytesView key, const AeadNonce& nonce, BytesView aad,
                             BytesView plaintext);
Result<SecretBytes> aead_open_once(AeadId id, BytesView key, const AeadNonce& nonce, BytesView aad,
                                   BytesView sealed);

// AeadSequence numbers the messages of one direction: the nonce of message i is base_nonce XOR i
// (RFC 9180 section 5.2), so that order, loss, repetition and insertion are noticed. A message that
// does not open leaves the position where it was. Movable; not thread-safe.
class AeadSequence {
 public:
  // Errors: as Aead::make.
  static Result<AeadSequence> make(AeadId id, BytesView key, const AeadNonce& base_nonce);

  // The number of the next message.
  std::uint64_t position() const noexcept { return position_; }

  // As Aead's, with the next nonce; the position advances on success only. Further error:
  // invalid_argument "message limit reached" after 2^64 - 1 messages.
  Result<void> seal(BytesView aad, BytesView plaintext, std::span<std::byte> out);
  Result<void> open(BytesView aad, BytesView sealed, std::span<std::byte> out);

 private:
  AeadSequence(Aead aead, const AeadNonce& base_nonce) noexcept
      : aead_{std::move(aead)}, base_nonce_{base_nonce} {}
  Result<AeadNonce> next_nonce() const;

  Aead aead_;
  AeadNonce base_nonce_;
  std::uint64_t position_ = 0;
};

}  // namespace tacit::crypto
