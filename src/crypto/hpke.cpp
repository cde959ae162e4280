#include "crypto/hpke.hpp"

#include "crypto/hpke_impl.hpp"
#include "crypto/hpke_schedule.hpp"

namespace tacit::crypto {
namespace {

Result<KdfId> kdf_id(std::uint16_t number) {
  for (const auto id : {KdfId::hkdf_sha256, KdfId::hkdf_sha384, KdfId::hkdf_sha512, KdfId::shake128,
                        KdfId::shake256}) {
    if (static_cast<std::uint16_t>(id) == number) return id;
  }
  return fail(Error{Code::unsupported, "KDF"}.with("id", number));
}

Result<AeadId> aead_id(std::uint16_t number) {
  for (const auto id :
       {AeadId::aes_128_gcm, AeadId::aes_256_gcm, AeadId::chacha20_poly1305, AeadId::export_only}) {
    if (static_cast<std::uint16_t>(id) == number) return id;
  }
  return fail(Error{Code::unsupported, "AEAD"}.with("id", number));
}

Result<std::optional<AeadSequence>> messages(const HpkeSuite& suite, const HpkeSchedule& schedule) {
  if (suite.aead == AeadId::export_only) return std::nullopt;
  TACIT_TRY(auto sequence,
            AeadSequence::make(suite.aead, schedule.key.reveal(), schedule.base_nonce));
  return sequence;
}

std::unexpected<Error> wrong_kem() {
  return fail(Code::invalid_argument, "key is of another KEM than the suite");
}

std::unexpected<Error> wrong_secret() {
  return fail(Code::invalid_argument, "shared secret is of another size than the suite's");
}

std::unexpected<Error> export_only() { return fail(Code::unsupported, "suite only exports"); }

}  // namespace

Result<HpkeSuite> HpkeSuite::parse(std::uint16_t kem, std::uint16_t kdf, std::uint16_t aead) {
  HpkeSuite suite;
  TACIT_TRY(suite.kem, kem_id(kem));
  TACIT_TRY(suite.kdf, kdf_id(kdf));
  TACIT_TRY(suite.aead, aead_id(aead));
  return suite;
}

Result<SecretBytes> HpkeContext::export_secret(BytesView context, std::size_t n) const {
  return hpke_export(suite_, exporter_secret_.reveal(), context, n);
}

Result<HpkeSender> HpkeAccess::sender(const HpkeSuite& suite, Encapsulation made, BytesView info,
                                      std::optional<HpkePsk> psk) {
  TACIT_TRY(auto schedule, hpke_schedule(suite, made.shared_secret.reveal(), info, psk));
  TACIT_TRY(auto sequence, messages(suite, schedule));
  return HpkeSender{HpkeContext{suite, std::move(sequence), std::move(schedule.exporter_secret)},
                    std::move(made.enc)};
}

Result<HpkeReceiver> HpkeAccess::receiver(const HpkeSuite& suite, BytesView shared_secret,
                                          BytesView info, std::optional<HpkePsk> psk) {
  TACIT_TRY(auto schedule, hpke_schedule(suite, shared_secret, info, psk));
  TACIT_TRY(auto sequence, messages(suite, schedule));
  return HpkeReceiver{HpkeContext{suite, std::move(sequence), std::move(schedule.exporter_secret)}};
}

Result<HpkeSender> HpkeSender::setup(const HpkeSuite& suite, const KemPublicKey& key,
                                     BytesView info, std::optional<HpkePsk> psk) {
  if (key.id() != suite.kem) return wrong_kem();
  TACIT_TRY(auto made, key.encapsulate());
  return HpkeAccess::sender(suite, std::move(made), info, psk);
}

Result<HpkeSender> HpkeSender::from_secret(const HpkeSuite& suite, BytesView shared_secret,
                                           BytesView info, std::optional<HpkePsk> psk) {
  if (shared_secret.size() != kem_sizes(suite.kem).shared_secret) return wrong_secret();
  return HpkeAccess::sender(suite, Encapsulation{{}, SecretBytes{shared_secret}}, info, psk);
}

Result<void> HpkeSender::seal(BytesView aad, BytesView plaintext, std::span<std::byte> out) {
  return messages_ ? messages_->seal(aad, plaintext, out) : export_only();
}

Result<HpkeReceiver> HpkeReceiver::setup(const HpkeSuite& suite, const KemPrivateKey& key,
                                         BytesView enc, BytesView info,
                                         std::optional<HpkePsk> psk) {
  if (key.id() != suite.kem) return wrong_kem();
  TACIT_TRY(const auto shared_secret, key.decapsulate(enc));
  return HpkeAccess::receiver(suite, shared_secret.reveal(), info, psk);
}

Result<HpkeReceiver> HpkeReceiver::from_secret(const HpkeSuite& suite, BytesView shared_secret,
                                               BytesView info, std::optional<HpkePsk> psk) {
  if (shared_secret.size() != kem_sizes(suite.kem).shared_secret) return wrong_secret();
  return HpkeAccess::receiver(suite, shared_secret, info, psk);
}

Result<void> HpkeReceiver::open(BytesView aad, BytesView sealed, std::span<std::byte> out) {
  return messages_ ? messages_->open(aad, sealed, out) : export_only();
}

}  // namespace tacit::crypto
