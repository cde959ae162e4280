// ML-KEM-768 as a KEM of HPKE (draft-ietf-hpke-pq): keys, ciphertexts and secrets as in FIPS 203,
// private keys as seeds.
#include "crypto/kem_impl.hpp"
#include "crypto/ml_kem.hpp"

namespace tacit::crypto {
namespace {

class MlKemPublicKey final : public KemPublicKey::Impl {
 public:
  MlKemPublicKey(BytesView bytes, Pkey key)
      : Impl{KemId::ml_kem_768, bytes}, key_{std::move(key)} {}

  Result<Encapsulation> encapsulate() const override { return with(std::nullopt); }

  Result<Encapsulation> encapsulate_from(BytesView randomness) const override {
    if (randomness.size() != kMlKemMessageBytes) {
      return fail(Code::invalid_argument, "randomness has the wrong size");
    }
    return with(randomness);
  }

 private:
  Encapsulation with(std::optional<BytesView> m) const {
    Encapsulation result{Bytes(kMlKemCiphertextBytes), SecretBytes{kMlKemSecretBytes}};
    ml_kem_encapsulate(key_.get(), m, result.enc, result.shared_secret.reveal_mutable());
    return result;
  }

  Pkey key_;
};

class MlKemPrivateKey final : public KemPrivateKey::Impl {
 public:
  MlKemPrivateKey(BytesView seed, BytesView public_key, Pkey key)
      : Impl{KemId::ml_kem_768, seed, public_key}, key_{std::move(key)} {}

  Result<SecretBytes> decapsulate(BytesView enc) const override {
    SecretBytes secret{kMlKemSecretBytes};
    if (!ml_kem_decapsulate(key_.get(), enc, secret.reveal_mutable())) {
      return refused_encapsulation();
    }
    return secret;
  }

 private:
  Pkey key_;
};

}  // namespace

PublicImpl ml_kem_public_key(BytesView bytes) {
  auto key = ml_kem_public(bytes);
  if (key == nullptr) return fail(Code::malformed, "ML-KEM encapsulation key");
  return std::make_shared<MlKemPublicKey>(bytes, std::move(key));
}

PrivateImpl ml_kem_private_key(BytesView seed) {
  auto key = ml_kem_private(seed);
  Bytes public_key(kMlKemPublicBytes);
  ml_kem_public_bytes(key.get(), public_key);
  return std::make_unique<MlKemPrivateKey>(seed, public_key, std::move(key));
}

}  // namespace tacit::crypto
