// DHKEM (RFC 9180 section 4.1) over X25519 and P-256, with HKDF-SHA256.
#include <algorithm>
#include <array>

#include "crypto/ecdh.hpp"
#include "crypto/kem_impl.hpp"
#include "crypto/labels.hpp"
#include "crypto/random.hpp"
#include "crypto/secret_array.hpp"

namespace tacit::crypto {
namespace {

// Both groups have private keys and shared secrets of this size.
constexpr std::size_t kScalarBytes = 32;

struct Group {
  Pkey (*public_key)(BytesView);
  Pkey (*private_key)(BytesView);
  void (*public_bytes)(EVP_PKEY*, std::span<std::byte>);
};

Group group_of(KemId id) {
  if (id == KemId::dhkem_p256) return {p256_public_key, p256_private_key, ec_public_bytes};
  return {x25519_public_key, x25519_private_key, x25519_public_bytes};
}

std::array<std::byte, 5> suite_id(KemId id) { return kem_suite_id(static_cast<std::uint16_t>(id)); }

// ExtractAndExpand; kem_context is enc and the receiver's public key.
SecretBytes extract_and_expand(KemId id, BytesView dh, BytesView enc, BytesView public_key) {
  const auto suite = suite_id(id);
  LabeledHkdf hkdf{HashId::sha256, suite};
  SecretArray<32> prk;
  hkdf.extract({}, "eae_prk", dh, prk.span());
  SecretBytes secret{kem_sizes(id).shared_secret};
  must(hkdf.expand(prk.view(), "shared_secret", {enc, public_key}, secret.reveal_mutable())
           .has_value(),
       "ExtractAndExpand");
  return secret;
}

class DhPublicKey final : public KemPublicKey::Impl {
 public:
  DhPublicKey(KemId id, BytesView bytes, Pkey key) : Impl{id, bytes}, key_{std::move(key)} {}

  Result<Encapsulation> encapsulate() const override {
    SecretArray<kScalarBytes> scalar;
    for (;;) {
      random_bytes(scalar.span());
      if (auto ephemeral = group_.private_key(scalar.view())) return with(ephemeral.get());
    }
  }

  Result<Encapsulation> encapsulate_from(BytesView randomness) const override {
    SecretArray<kScalarBytes> scalar;
    dh_derive(id(), randomness, scalar.span());
    return with(group_.private_key(scalar.view()).get());
  }

 private:
  Result<Encapsulation> with(EVP_PKEY* ephemeral) const {
    Encapsulation result;
    result.enc.resize(kem_sizes(id()).enc);
    group_.public_bytes(ephemeral, result.enc);
    SecretArray<kScalarBytes> dh;
    if (!diffie_hellman(ephemeral, key_.get(), dh.span())) {
      return fail(Code::malformed, "public key of low order");
    }
    result.shared_secret = extract_and_expand(id(), dh.view(), result.enc, bytes());
    return result;
  }

  Pkey key_;
  Group group_ = group_of(id());
};

class DhPrivateKey final : public KemPrivateKey::Impl {
 public:
  DhPrivateKey(KemId id, BytesView private_key, BytesView public_key, Pkey key)
      : Impl{id, private_key, public_key}, key_{std::move(key)} {}

  Result<SecretBytes> decapsulate(BytesView enc) const override {
    const auto ephemeral = group_.public_key(enc);
    if (ephemeral == nullptr) return refused_encapsulation();
    SecretArray<kScalarBytes> dh;
    if (!diffie_hellman(key_.get(), ephemeral.get(), dh.span())) return refused_encapsulation();
    return extract_and_expand(id(), dh.view(), enc, public_bytes());
  }

 private:
  Pkey key_;
  Group group_ = group_of(id());
};

}  // namespace

PublicImpl dh_public_key(KemId id, BytesView bytes) {
  auto key = group_of(id).public_key(bytes);
  if (key == nullptr) return fail(Code::malformed, "public key is no point of the curve");
  return std::make_shared<DhPublicKey>(id, bytes, std::move(key));
}

PrivateImpl dh_private_key(KemId id, BytesView private_key) {
  const auto group = group_of(id);
  auto key = group.private_key(private_key);
  if (key == nullptr) return fail(Code::malformed, "private key is out of range");
  Bytes public_key(kem_sizes(id).public_key);
  group.public_bytes(key.get(), public_key);
  return std::make_unique<DhPrivateKey>(id, private_key, public_key, std::move(key));
}

void dh_derive(KemId id, BytesView ikm, std::span<std::byte> private_key) {
  const auto suite = suite_id(id);
  LabeledHkdf hkdf{HashId::sha256, suite};
  SecretArray<32> prk;
  hkdf.extract({}, "dkp_prk", ikm, prk.span());
  if (id == KemId::dhkem_x25519) {
    must(hkdf.expand(prk.view(), "sk", {}, private_key).has_value(), "DeriveKeyPair");
    return;
  }
  // RFC 9180 section 7.1.3; each candidate is refused with a chance of 2^-32.
  for (unsigned counter = 0; counter < 256; ++counter) {
    const auto byte = static_cast<std::byte>(counter);
    must(hkdf.expand(prk.view(), "candidate", {BytesView{&byte, 1}}, private_key).has_value(),
         "DeriveKeyPair");
    if (p256_private_key(private_key) != nullptr) return;
  }
  must(false, "DeriveKeyPair");
}

}  // namespace tacit::crypto
