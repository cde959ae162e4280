// Hybrid public key encryption: RFC 9180, and draft-ietf-hpke-pq for the post-quantum KEMs. Base
// and PSK modes; the modes that authenticate the sender by a KEM key are not offered, because no
// post-quantum KEM has them: prove the sender with a PSK.
//
// A sender and a receiver that set up with the same suite, info, PSK and key agree on a context:
// numbered messages in one direction, and exported secrets for everything else.
//
//   auto sender = HpkeSender::setup(suite, public_key, info);
//   sender->seal(aad, plaintext, out);                   // enc() goes ahead of it
//   auto receiver = HpkeReceiver::setup(suite, private_key, enc, info);
//   receiver->open(aad, sealed, out);
#pragma once

#include <optional>

#include "core/secret.hpp"
#include "crypto/aead.hpp"
#include "crypto/kem.hpp"

namespace tacit::crypto {

// The numbers of IANA's "HPKE KDF Identifiers".
enum class KdfId : std::uint16_t {
  hkdf_sha256 = 0x0001,
  hkdf_sha384 = 0x0002,
  hkdf_sha512 = 0x0003,
  shake128 = 0x0010,  // single-stage, draft-ietf-hpke-pq
  shake256 = 0x0011,
};

// HpkeSuite is what both sides must have chosen alike.
struct HpkeSuite {
  KemId kem = KemId::mlkem768_x25519;
  KdfId kdf = KdfId::hkdf_sha256;
  AeadId aead = AeadId::aes_256_gcm;

  // Checks numbers from the wire. Error: unsupported, naming the first that is not offered.
  static Result<HpkeSuite> parse(std::uint16_t kem, std::uint16_t kdf, std::uint16_t aead);

  friend bool operator==(const HpkeSuite&, const HpkeSuite&) = default;
};

// HpkePsk is a secret both sides had before, and its public name. Borrowed by the call that takes
// it. Refused as invalid_argument: a key shorter than 32 bytes (RFC 9180 section 9.5), no name.
struct HpkePsk {
  BytesView key;
  BytesView id;
};

// Longest info, PSK, PSK name and exporter context, and longest exported secret.
inline constexpr std::size_t kHpkeInputBytesMax = 65535;

// HpkeContext is what the two sides have in common. Movable; not thread-safe.
class HpkeContext {
 public:
  const HpkeSuite& suite() const noexcept { return suite_; }

  // The secret of n bytes that both sides derive for `context` (RFC 9180 section 5.3).
  // Errors: too_large for a context over kHpkeInputBytesMax; invalid_argument for n over what the
  // KDF gives (255 digests with HKDF, kHpkeInputBytesMax with SHAKE).
  Result<SecretBytes> export_secret(BytesView context, std::size_t n) const;

 protected:
  HpkeContext(const HpkeSuite& suite, std::optional<AeadSequence> messages,
              SecretBytes exporter_secret) noexcept
      : suite_{suite},
        messages_{std::move(messages)},
        exporter_secret_{std::move(exporter_secret)} {}

  HpkeSuite suite_;
  std::optional<AeadSequence> messages_;  // empty for export_only

 private:
  friend struct HpkeAccess;
  SecretBytes exporter_secret_;
};

class HpkeSender : public HpkeContext {
 public:
  // Errors: invalid_argument when `key` is not of the suite's KEM, and as HpkePsk says; too_large
  // for inputs over kHpkeInputBytesMax; as KemPublicKey::encapsulate.
  static Result<HpkeSender> setup(const HpkeSuite& suite, const KemPublicKey& key, BytesView info,
                                  std::optional<HpkePsk> psk = {});

  // The context of a secret that both sides have already: KeySchedule of RFC 9180 section 5.1, with
  // no KEM and an empty enc(). For a second context under the first one's export_secret(). Never
  // give two contexts of one direction the same secret, info and PSK. Errors: invalid_argument for
  // a secret of another size than the KEM's; else as setup about the inputs.
  static Result<HpkeSender> from_secret(const HpkeSuite& suite, BytesView shared_secret,
                                        BytesView info, std::optional<HpkePsk> psk = {});

  // The encapsulated key, for the receiver, in clear.
  BytesView enc() const noexcept { return enc_; }

  // Seals the next message, as AeadSequence::seal. Further error: unsupported for export_only.
  Result<void> seal(BytesView aad, BytesView plaintext, std::span<std::byte> out);

 private:
  friend struct HpkeAccess;
  HpkeSender(HpkeContext context, Bytes enc) noexcept
      : HpkeContext{std::move(context)}, enc_{std::move(enc)} {}
  Bytes enc_;
};

class HpkeReceiver : public HpkeContext {
 public:
  // Errors: as HpkeSender::setup; malformed "encapsulated key" (see KemPrivateKey::decapsulate).
  // A wrong key, info or PSK is not noticed here: nothing opens then.
  static Result<HpkeReceiver> setup(const HpkeSuite& suite, const KemPrivateKey& key, BytesView enc,
                                    BytesView info, std::optional<HpkePsk> psk = {});

  // As HpkeSender::from_secret.
  static Result<HpkeReceiver> from_secret(const HpkeSuite& suite, BytesView shared_secret,
                                          BytesView info, std::optional<HpkePsk> psk = {});

  // Opens the next message, as AeadSequence::open. Further error: unsupported for export_only.
  Result<void> open(BytesView aad, BytesView sealed, std::span<std::byte> out);

 private:
  friend struct HpkeAccess;
  explicit HpkeReceiver(HpkeContext context) noexcept : HpkeContext{std::move(context)} {}
};

}  // namespace tacit::crypto
