#include "crypto/kem.hpp"

#include <array>

#include "crypto/kem_impl.hpp"
#include "crypto/labels.hpp"
#include "crypto/random.hpp"
#include "crypto/secret_array.hpp"

namespace tacit::crypto {
namespace {

constexpr std::size_t kPrivateBytesMax = 64;

bool is_dh(KemId id) { return id == KemId::dhkem_p256 || id == KemId::dhkem_x25519; }

PrivateImpl private_impl(KemId id, BytesView private_key) {
  switch (id) {
    case KemId::dhkem_p256:
    case KemId::dhkem_x25519: return dh_private_key(id, private_key);
    case KemId::ml_kem_768: return ml_kem_private_key(private_key);
    case KemId::mlkem768_x25519: break;
  }
  return xwing_private_key(private_key);
}

PublicImpl public_impl(KemId id, BytesView bytes) {
  switch (id) {
    case KemId::dhkem_p256:
    case KemId::dhkem_x25519: return dh_public_key(id, bytes);
    case KemId::ml_kem_768: return ml_kem_public_key(bytes);
    case KemId::mlkem768_x25519: break;
  }
  return xwing_public_key(bytes);
}

}  // namespace

Result<KemId> kem_id(std::uint16_t number) {
  for (const auto id :
       {KemId::dhkem_p256, KemId::dhkem_x25519, KemId::ml_kem_768, KemId::mlkem768_x25519}) {
    if (static_cast<std::uint16_t>(id) == number) return id;
  }
  return fail(Error{Code::unsupported, "KEM"}.with("id", number));
}

KemPublicKey::KemPublicKey(std::shared_ptr<const Impl> impl) noexcept : impl_{std::move(impl)} {}

Result<KemPublicKey> KemPublicKey::parse(KemId id, BytesView bytes) {
  if (bytes.size() != kem_sizes(id).public_key) return fail(Code::malformed, "KEM public key size");
  TACIT_TRY(auto impl, public_impl(id, bytes));
  return KemPublicKey{std::move(impl)};
}

KemId KemPublicKey::id() const noexcept { return impl_->id(); }
BytesView KemPublicKey::bytes() const noexcept { return impl_->bytes(); }
Result<Encapsulation> KemPublicKey::encapsulate() const { return impl_->encapsulate(); }

KemPrivateKey::KemPrivateKey(std::unique_ptr<const Impl> impl) noexcept : impl_{std::move(impl)} {}
KemPrivateKey::~KemPrivateKey() = default;
KemPrivateKey::KemPrivateKey(KemPrivateKey&&) noexcept = default;
KemPrivateKey& KemPrivateKey::operator=(KemPrivateKey&&) noexcept = default;

KemPrivateKey KemPrivateKey::generate(KemId id) {
  SecretArray<kPrivateBytesMax> bytes;
  const auto private_key = bytes.first(kem_sizes(id).private_key);
  for (;;) {
    random_bytes(private_key);
    // P-256 refuses numbers outside its order, which 2^-32 of them are.
    if (auto impl = private_impl(id, private_key)) return KemPrivateKey{*std::move(impl)};
  }
}

Result<KemPrivateKey> KemPrivateKey::parse(KemId id, BytesView private_key) {
  if (private_key.size() != kem_sizes(id).private_key) {
    return fail(Code::malformed, "KEM private key size");
  }
  TACIT_TRY(auto impl, private_impl(id, private_key));
  return KemPrivateKey{std::move(impl)};
}

Result<KemPrivateKey> KemPrivateKey::derive(KemId id, BytesView ikm) {
  if (ikm.size() < kKemIkmBytesMin) {
    return fail(Error{Code::invalid_argument, "too little key material to derive a key pair"}
                    .with("bytes", static_cast<std::int64_t>(ikm.size()))
                    .with("needed", static_cast<std::int64_t>(kKemIkmBytesMin)));
  }
  SecretArray<kPrivateBytesMax> bytes;
  const auto private_key = bytes.first(kem_sizes(id).private_key);
  if (is_dh(id)) {
    dh_derive(id, ikm, private_key);
  } else {
    labeled_derive(shake256, kem_suite_id(static_cast<std::uint16_t>(id)), {ikm}, "DeriveKeyPair",
                   {}, private_key);
  }
  return parse(id, private_key);
}

KemId KemPrivateKey::id() const noexcept { return impl_->id(); }
BytesView KemPrivateKey::public_bytes() const noexcept { return impl_->public_bytes(); }
SecretBytes KemPrivateKey::private_bytes() const { return SecretBytes{impl_->private_bytes()}; }

Result<SecretBytes> KemPrivateKey::decapsulate(BytesView enc) const {
  if (enc.size() != kem_sizes(id()).enc) return refused_encapsulation();
  return impl_->decapsulate(enc);
}

}  // namespace tacit::crypto
