// Keys and signatures from strangers: no bytes break a parser, a key that is accepted writes itself
// exactly as it was read, and no invented signature verifies.
#include <algorithm>
#include <array>
#include <optional>

#include "core/bytes.hpp"
#include "crypto/kem.hpp"
#include "crypto/sign.hpp"
#include "fuzz.hpp"

namespace {

using namespace tacit::crypto;  // a program of one file
using tacit::Bytes;
using tacit::BytesView;

constexpr std::array kKems{KemId::dhkem_x25519, KemId::dhkem_p256, KemId::ml_kem_768,
                           KemId::mlkem768_x25519};
constexpr std::array kKinds{KeyKind::ed25519, KeyKind::ecdsa_p256, KeyKind::ecdsa_p384,
                            KeyKind::ml_dsa_44, KeyKind::ml_dsa_65};

void check_kem(KemId id, BytesView bytes) {
  const auto key = KemPublicKey::parse(id, bytes);
  if (key) FUZZ_CHECK(std::ranges::equal(key->bytes(), bytes));
  if (key) {
    const auto made = key->encapsulate();  // may be refused: a point of low order
    if (made) FUZZ_CHECK(made->enc.size() == kem_sizes(id).enc);
  }
  static const auto receivers = [] {
    std::array<std::optional<KemPrivateKey>, kKems.size()> all;
    for (std::size_t i = 0; i < kKems.size(); ++i) all[i] = KemPrivateKey::generate(kKems[i]);
    return all;
  }();
  const auto at = static_cast<std::size_t>(std::ranges::find(kKems, id) - kKems.begin());
  const auto secret = receivers[at]->decapsulate(bytes);
  if (secret) FUZZ_CHECK(bytes.size() == kem_sizes(id).enc && secret->size() == 32);
}

void check_again(const VerifyingKey& key) {
  const auto spki = VerifyingKey::parse_spki(key.spki());
  const auto pem = VerifyingKey::parse_pem(key.pem());
  FUZZ_CHECK(spki && *spki == key && spki->kind() == key.kind());
  FUZZ_CHECK(pem && *pem == key);
  for (const auto scheme : {SignatureScheme::ed25519, SignatureScheme::ecdsa_sha256_der,
                            SignatureScheme::rsa_pss_sha256, SignatureScheme::ml_dsa}) {
    FUZZ_CHECK(!key.verify(scheme, {}, Bytes(64)));
  }
}

void check_signature(std::size_t at, BytesView signature) {
  static const auto keys = [] {
    std::array<std::optional<SigningKey>, kKinds.size()> all;
    for (std::size_t i = 0; i < kKinds.size(); ++i) all[i] = *SigningKey::generate(kKinds[i]);
    return all;
  }();
  const auto& key = keys[at]->verifying_key();
  for (const auto scheme : {SignatureScheme::ed25519, SignatureScheme::ecdsa_sha256_der,
                            SignatureScheme::ecdsa_sha256_raw, SignatureScheme::ecdsa_sha384_der,
                            SignatureScheme::ecdsa_sha384_raw, SignatureScheme::ml_dsa}) {
    FUZZ_CHECK(!key.verify(scheme, {}, signature));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const BytesView bytes{reinterpret_cast<const std::byte*>(data) + 1, size - 1};
  const auto choice = data[0] / 8u;
  switch (data[0] % 8u) {
    case 0: check_kem(kKems[choice % kKems.size()], bytes); break;
    case 1: {
      const auto key = VerifyingKey::parse_raw(kKinds[choice % kKinds.size()], bytes);
      if (!key) break;
      FUZZ_CHECK(std::ranges::equal(key->raw(), bytes));
      check_again(*key);
      break;
    }
    case 2: {
      const auto key = VerifyingKey::parse_pem(tacit::as_text(bytes));
      if (key) check_again(*key);
      break;
    }
    case 3: check_signature(choice % kKinds.size(), bytes); break;
    case 4: {
      const auto key = SigningKey::parse_pkcs8(bytes);
      if (!key) break;
      const auto again = SigningKey::parse_pkcs8(key->pkcs8().reveal());
      FUZZ_CHECK(again && again->verifying_key() == key->verifying_key());
      break;
    }
    default: {
      const auto key = VerifyingKey::parse_spki(bytes);
      if (!key) break;
      FUZZ_CHECK(std::ranges::equal(key->spki(), bytes));
      check_again(*key);
    }
  }
  return 0;
}
