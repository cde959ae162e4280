// X-Wing (draft-connolly-cfrg-xwing-kem), MLKEM768-X25519 in HPKE: ML-KEM-768 and X25519 side by
// side, so that the secret stays secret while either of them does.
//
//   private key   32-byte seed; SHAKE256 of it is d || z (64 bytes) || X25519 private key (32)
//   public key    ML-KEM encapsulation key (1184) || X25519 public key (32)
//   enc           ML-KEM ciphertext (1088) || X25519 ephemeral public key (32)
//   secret        SHA3-256(ss_M || ss_X || ct_X || pk_X || label)
//
// The draft lets an all-zero ss_X pass; here it is refused, as RFC 9180 does for X25519 alone: no
// honest peer sends such a share.
#include <algorithm>
#include <array>

#include "crypto/ecdh.hpp"
#include "crypto/hash.hpp"
#include "crypto/kem_impl.hpp"
#include "crypto/ml_kem.hpp"
#include "crypto/random.hpp"
#include "crypto/secret_array.hpp"

namespace tacit::crypto {
namespace {

constexpr std::size_t kX25519Bytes = 32;
constexpr std::string_view kLabel{"\\.//^\\", 6};

SecretBytes combine(BytesView ml_kem_secret, BytesView x25519_secret, BytesView x25519_share,
                    BytesView x25519_public) {
  SecretBytes secret{32};
  digest(HashId::sha3_256,
         {ml_kem_secret, x25519_secret, x25519_share, x25519_public, as_bytes(kLabel)},
         secret.reveal_mutable());
  return secret;
}

class XWingPublicKey final : public KemPublicKey::Impl {
 public:
  XWingPublicKey(BytesView bytes, Pkey ml_kem, Pkey x25519)
      : Impl{KemId::mlkem768_x25519, bytes},
        ml_kem_{std::move(ml_kem)},
        x25519_{std::move(x25519)} {}

  Result<Encapsulation> encapsulate() const override {
    SecretArray<kX25519Bytes> scalar;
    random_bytes(scalar.span());
    return with(std::nullopt, scalar.view());
  }

  Result<Encapsulation> encapsulate_from(BytesView randomness) const override {
    if (randomness.size() != kMlKemMessageBytes + kX25519Bytes) {
      return fail(Code::invalid_argument, "randomness has the wrong size");
    }
    return with(randomness.first(kMlKemMessageBytes), randomness.last(kX25519Bytes));
  }

 private:
  Result<Encapsulation> with(std::optional<BytesView> m, BytesView scalar) const {
    Bytes enc(kMlKemCiphertextBytes + kX25519Bytes);
    const auto share = std::span{enc}.last(kX25519Bytes);
    SecretArray<kMlKemSecretBytes> ml_kem_secret;
    SecretArray<kX25519Bytes> x25519_secret;
    const auto ephemeral = x25519_private_key(scalar);
    x25519_public_bytes(ephemeral.get(), share);
    if (!diffie_hellman(ephemeral.get(), x25519_.get(), x25519_secret.span())) {
      return fail(Code::malformed, "public key of low order");
    }
    ml_kem_encapsulate(ml_kem_.get(), m, std::span{enc}.first(kMlKemCiphertextBytes),
                       ml_kem_secret.span());
    auto secret =
        combine(ml_kem_secret.view(), x25519_secret.view(), share, bytes().last(kX25519Bytes));
    return Encapsulation{std::move(enc), std::move(secret)};
  }

  Pkey ml_kem_;
  Pkey x25519_;
};

class XWingPrivateKey final : public KemPrivateKey::Impl {
 public:
  XWingPrivateKey(BytesView seed, BytesView public_key, Pkey ml_kem, Pkey x25519)
      : Impl{KemId::mlkem768_x25519, seed, public_key},
        ml_kem_{std::move(ml_kem)},
        x25519_{std::move(x25519)} {}

  Result<SecretBytes> decapsulate(BytesView enc) const override {
    const auto share = enc.last(kX25519Bytes);
    SecretArray<kMlKemSecretBytes> ml_kem_secret;
    SecretArray<kX25519Bytes> x25519_secret;
    const auto peer = x25519_public_key(share);
    const bool agreed =
        peer != nullptr && diffie_hellman(x25519_.get(), peer.get(), x25519_secret.span());
    // Whatever the share is: its refusal takes no less time than any other's.
    const bool opened =
        ml_kem_decapsulate(ml_kem_.get(), enc.first(kMlKemCiphertextBytes), ml_kem_secret.span());
    if (!agreed || !opened) return refused_encapsulation();
    return combine(ml_kem_secret.view(), x25519_secret.view(), share,
                   public_bytes().last(kX25519Bytes));
  }

 private:
  Pkey ml_kem_;
  Pkey x25519_;
};

}  // namespace

PublicImpl xwing_public_key(BytesView bytes) {
  auto ml_kem = ml_kem_public(bytes.first(kMlKemPublicBytes));
  auto x25519 = x25519_public_key(bytes.last(kX25519Bytes));
  if (ml_kem == nullptr || x25519 == nullptr) return fail(Code::malformed, "X-Wing public key");
  return std::make_shared<XWingPublicKey>(bytes, std::move(ml_kem), std::move(x25519));
}

PrivateImpl xwing_private_key(BytesView seed) {
  SecretArray<kMlKemSeedBytes + kX25519Bytes> expanded;
  shake256({seed}, expanded.span());
  auto ml_kem = ml_kem_private(expanded.view().first(kMlKemSeedBytes));
  auto x25519 = x25519_private_key(expanded.view().last(kX25519Bytes));
  must(x25519 != nullptr, "X25519 private key");
  std::array<std::byte, kMlKemPublicBytes + kX25519Bytes> public_key{};
  ml_kem_public_bytes(ml_kem.get(), std::span{public_key}.first(kMlKemPublicBytes));
  x25519_public_bytes(x25519.get(), std::span{public_key}.last(kX25519Bytes));
  return std::make_unique<XWingPrivateKey>(seed, public_key, std::move(ml_kem), std::move(x25519));
}

}  // namespace tacit::crypto
