#include "crypto/aead.hpp"

#include <algorithm>
#include <functional>
#include <limits>

#include "core/secret.hpp"
#include "crypto/ossl.hpp"

namespace tacit::crypto {
namespace {

const EVP_CIPHER* cipher_of(AeadId id) {
  const auto& all = algorithms();
  switch (id) {
    case AeadId::aes_128_gcm: return all.aes_128_gcm;
    case AeadId::aes_256_gcm: return all.aes_256_gcm;
    case AeadId::chacha20_poly1305: return all.chacha20_poly1305;
    case AeadId::export_only: break;
  }
  return nullptr;
}

// In place or apart; what lies between destroys its own input.
bool overlaps_partly(BytesView in, BytesView out) {
  if (in.empty() || out.empty() || in.data() == out.data()) return false;
  const std::less<const std::byte*> before;
  return before(in.data(), out.data() + out.size()) && before(out.data(), in.data() + in.size());
}

Result<void> check_sizes(BytesView aad, BytesView in, BytesView out, std::size_t expected) {
  if (in.size() > kAeadMessageBytesMax || aad.size() > kAeadMessageBytesMax) {
    return fail(Error{Code::too_large, "message to seal or open"}
                    .with("bytes", static_cast<std::int64_t>(std::max(in.size(), aad.size())))
                    .with("limit", static_cast<std::int64_t>(kAeadMessageBytesMax)));
  }
  if (out.size() != expected) {
    return fail(Error{Code::invalid_argument, "output buffer has the wrong size"}
                    .with("bytes", static_cast<std::int64_t>(out.size()))
                    .with("needed", static_cast<std::int64_t>(expected)));
  }
  if (overlaps_partly(in, out)) {
    return fail(Code::invalid_argument, "input and output overlap in part");
  }
  return {};
}

int int_size(BytesView bytes) { return static_cast<int>(bytes.size()); }

// Sets the nonce, then the associated data. The key stays as it was.
void begin(EVP_CIPHER_CTX* context, const AeadNonce& nonce, BytesView aad, int encrypt) {
  must(EVP_CipherInit_ex(context, nullptr, nullptr, nullptr, ossl_data(BytesView{nonce}),
                         encrypt) == 1,
       "EVP_CipherInit_ex");
  int size = 0;
  if (!aad.empty()) {
    must(EVP_CipherUpdate(context, nullptr, &size, ossl_data(aad), int_size(aad)) == 1,
         "EVP_CipherUpdate");
  }
}

}  // namespace

void Aead::Free::operator()(evp_cipher_ctx_st* context) const noexcept {
  EVP_CIPHER_CTX_free(context);
}

Result<Aead> Aead::make(AeadId id, BytesView key) {
  const auto* cipher = cipher_of(id);
  if (cipher == nullptr) return fail(Code::unsupported, "AEAD");
  if (key.size() != aead_key_bytes(id)) return fail(Code::invalid_argument, "AEAD key size");
  Aead aead{id, EVP_CIPHER_CTX_new()};
  must(aead.context_ != nullptr, "EVP_CIPHER_CTX_new");
  must(EVP_EncryptInit_ex2(aead.context_.get(), cipher, ossl_data(key), nullptr, nullptr) == 1,
       "EVP_EncryptInit_ex2");
  return aead;
}

Result<void> Aead::seal(const AeadNonce& nonce, BytesView aad, BytesView plaintext,
                        std::span<std::byte> out) {
  TACIT_CHECK(check_sizes(aad, plaintext, out, plaintext.size() + kAeadTagBytes));
  auto* context = context_.get();
  begin(context, nonce, aad, 1);
  int size = 0;
  if (!plaintext.empty()) {
    must(EVP_CipherUpdate(context, ossl_data(out), &size, ossl_data(plaintext),
                          int_size(plaintext)) == 1 &&
             size == int_size(plaintext),
         "EVP_CipherUpdate");
  }
  const auto tag = out.last(kAeadTagBytes);
  must(EVP_CipherFinal_ex(context, ossl_data(tag), &size) == 1 && size == 0, "EVP_CipherFinal_ex");
  must(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, kAeadTagBytes, tag.data()) == 1,
       "EVP_CIPHER_CTX_ctrl");
  return {};
}

Result<void> Aead::open(const AeadNonce& nonce, BytesView aad, BytesView sealed,
                        std::span<std::byte> out) {
  if (sealed.size() < kAeadTagBytes) return fail(Code::malformed, "shorter than a tag");
  const auto ciphertext = sealed.first(sealed.size() - kAeadTagBytes);
  TACIT_CHECK(check_sizes(aad, sealed, out, ciphertext.size()));
  AeadTag tag;
  std::ranges::copy(sealed.last(kAeadTagBytes), tag.begin());
  auto* context = context_.get();
  begin(context, nonce, aad, 0);
  int size = 0;
  if (!ciphertext.empty()) {
    must(EVP_CipherUpdate(context, ossl_data(out), &size, ossl_data(ciphertext),
                          int_size(ciphertext)) == 1 &&
             size == int_size(ciphertext),
         "EVP_CipherUpdate");
  }
  must(EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, kAeadTagBytes, tag.data()) == 1,
       "EVP_CIPHER_CTX_ctrl");
  unsigned char rest[kAeadTagBytes];
  if (EVP_CipherFinal_ex(context, rest, &size) != 1) {
    wipe(out);
    forget_errors();
    return fail(Code::corrupt, "authentication failed");
  }
  return {};
}

Result<Bytes> aead_seal_once(AeadId id, BytesView key, const AeadNonce& nonce, BytesView aad,
                             BytesView plaintext) {
  TACIT_TRY(auto aead, Aead::make(id, key));
  Bytes sealed(plaintext.size() + kAeadTagBytes);
  TACIT_CHECK(aead.seal(nonce, aad, plaintext, sealed));
  return sealed;
}

Result<SecretBytes> aead_open_once(AeadId id, BytesView key, const AeadNonce& nonce, BytesView aad,
                                   BytesView sealed) {
  if (sealed.size() < kAeadTagBytes) return fail(Code::malformed, "shorter than a tag");
  TACIT_TRY(auto aead, Aead::make(id, key));
  SecretBytes plaintext{sealed.size() - kAeadTagBytes};
  TACIT_CHECK(aead.open(nonce, aad, sealed, plaintext.reveal_mutable()));
  return plaintext;
}

Result<AeadSequence> AeadSequence::make(AeadId id, BytesView key, const AeadNonce& base_nonce) {
  TACIT_TRY(auto aead, Aead::make(id, key));
  return AeadSequence{std::move(aead), base_nonce};
}

Result<AeadNonce> AeadSequence::next_nonce() const {
  if (position_ == std::numeric_limits<std::uint64_t>::max()) {
    return fail(Code::invalid_argument, "message limit reached");
  }
  auto nonce = base_nonce_;
  for (std::size_t i = 0; i < sizeof position_; ++i) {
    nonce[kAeadNonceBytes - 1 - i] ^= static_cast<std::byte>(position_ >> (8 * i));
  }
  return nonce;
}

Result<void> AeadSequence::seal(BytesView aad, BytesView plaintext, std::span<std::byte> out) {
  TACIT_TRY(const auto nonce, next_nonce());
  TACIT_CHECK(aead_.seal(nonce, aad, plaintext, out));
  ++position_;
  return {};
}

Result<void> AeadSequence::open(BytesView aad, BytesView sealed, std::span<std::byte> out) {
  TACIT_TRY(const auto nonce, next_nonce());
  TACIT_CHECK(aead_.open(nonce, aad, sealed, out));
  ++position_;
  return {};
}

}  // namespace tacit::crypto
