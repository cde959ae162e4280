// What each KEM implements behind kem.hpp. Private.
#pragma once

#include <utility>

#include "crypto/kem.hpp"

namespace tacit::crypto {

// The shortest input of DeriveKeyPair: the entropy of every key here.
inline constexpr std::size_t kKemIkmBytesMin = 32;

class KemPublicKey::Impl {
 public:
  explicit Impl(KemId id, BytesView bytes) : id_{id}, bytes_{bytes.begin(), bytes.end()} {}
  virtual ~Impl() = default;
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  KemId id() const noexcept { return id_; }
  BytesView bytes() const noexcept { return bytes_; }

  virtual Result<Encapsulation> encapsulate() const = 0;
  // The same from given randomness, for test vectors: the ikm of the ephemeral key pair for the
  // DHKEMs, m for ML-KEM, m and the X25519 scalar for X-Wing.
  virtual Result<Encapsulation> encapsulate_from(BytesView randomness) const = 0;

 private:
  KemId id_;
  Bytes bytes_;
};

class KemPrivateKey::Impl {
 public:
  Impl(KemId id, BytesView private_key, BytesView public_key)
      : id_{id}, private_key_{private_key}, public_key_{public_key.begin(), public_key.end()} {}
  virtual ~Impl() = default;
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  KemId id() const noexcept { return id_; }
  BytesView public_bytes() const noexcept { return public_key_; }
  BytesView private_bytes() const noexcept { return private_key_.reveal(); }

  virtual Result<SecretBytes> decapsulate(BytesView enc) const = 0;

 private:
  KemId id_;
  SecretBytes private_key_;
  Bytes public_key_;
};

// KemAccess builds key objects from implementations and reaches into them.
struct KemAccess {
  static KemPublicKey wrap(std::shared_ptr<const KemPublicKey::Impl> impl) {
    return KemPublicKey{std::move(impl)};
  }
  static KemPrivateKey wrap(std::unique_ptr<const KemPrivateKey::Impl> impl) {
    return KemPrivateKey{std::move(impl)};
  }
  static const KemPublicKey::Impl& impl(const KemPublicKey& key) { return *key.impl_; }
  static const KemPrivateKey::Impl& impl(const KemPrivateKey& key) { return *key.impl_; }
};

// One trio for each file kem_*.cpp. Sizes were checked by the caller.
using PublicImpl = Result<std::shared_ptr<const KemPublicKey::Impl>>;
using PrivateImpl = Result<std::unique_ptr<const KemPrivateKey::Impl>>;

PublicImpl dh_public_key(KemId id, BytesView bytes);
PrivateImpl dh_private_key(KemId id, BytesView private_key);
// Fills `private_key`.
void dh_derive(KemId id, BytesView ikm, std::span<std::byte> private_key);

PublicImpl ml_kem_public_key(BytesView bytes);
PrivateImpl ml_kem_private_key(BytesView seed);

PublicImpl xwing_public_key(BytesView bytes);
PrivateImpl xwing_private_key(BytesView seed);

// The one error of decapsulation, so that no caller can tell the reasons apart.
inline std::unexpected<Error> refused_encapsulation() {
  return fail(Code::malformed, "encapsulated key");
}

}  // namespace tacit::crypto
