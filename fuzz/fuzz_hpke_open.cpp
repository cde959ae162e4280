// HPKE under every suite: what was sealed opens, and after one flipped bit anywhere (the
// encapsulated key, the ciphertext, the tag, the associated data, info or the PSK's name) nothing
// does.
#include <algorithm>
#include <array>
#include <map>
#include <optional>

#include "core/bytes.hpp"
#include "crypto/hpke.hpp"
#include "crypto/testing/hpke_testing.hpp"
#include "fuzz.hpp"

namespace {

using namespace tacit::crypto;  // a program of one file
using tacit::Bytes;
using tacit::BytesView;

constexpr std::array kKems{KemId::dhkem_x25519, KemId::dhkem_p256, KemId::ml_kem_768,
                           KemId::mlkem768_x25519};
constexpr std::array kKdfs{KdfId::hkdf_sha256, KdfId::hkdf_sha512, KdfId::shake128,
                           KdfId::shake256};
constexpr std::array kAeads{AeadId::aes_128_gcm, AeadId::aes_256_gcm, AeadId::chacha20_poly1305};

struct Receiver {
  KemPrivateKey private_key;
  KemPublicKey public_key;
};

// One key for each KEM, always the same.
const Receiver& receiver_of(KemId id) {
  static const auto all = [] {
    std::map<KemId, Receiver> keys;
    for (const auto kem : kKems) {
      auto key = KemPrivateKey::derive(kem, Bytes(64, std::byte{7}));
      FUZZ_CHECK(key.has_value());
      auto public_key = KemPublicKey::parse(kem, key->public_bytes());
      FUZZ_CHECK(public_key.has_value());
      keys.emplace(kem, Receiver{*std::move(key), *std::move(public_key)});
    }
    return keys;
  }();
  return all.at(id);
}

std::size_t randomness_bytes(KemId id) { return id == KemId::mlkem768_x25519 ? 64 : 32; }

struct Exchange {
  HpkeSuite suite;
  Bytes info, psk, psk_id, aad, enc, sealed;

  std::optional<HpkePsk> given_psk() const {
    if (psk.empty()) return std::nullopt;
    return HpkePsk{psk, psk_id};
  }
};

// The plaintext, or nothing.
std::optional<Bytes> open(const Exchange& exchange) {
  auto receiver = HpkeReceiver::setup(exchange.suite, receiver_of(exchange.suite.kem).private_key,
                                      exchange.enc, exchange.info, exchange.given_psk());
  if (!receiver) return std::nullopt;
  Bytes out(exchange.sealed.size() - kAeadTagBytes, std::byte{0xee});
  if (!receiver->open(exchange.aad, exchange.sealed, out)) {
    FUZZ_CHECK(std::ranges::all_of(out, [](std::byte b) { return b == std::byte{0}; }));
    return std::nullopt;
  }
  return out;
}

Bytes take(BytesView& rest, std::size_t n) {
  n = std::min(n, rest.size());
  Bytes taken{rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(n)};
  rest = rest.subspan(n);
  return taken;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t head = 6;
  if (size < head) return 0;
  BytesView rest{reinterpret_cast<const std::byte*>(data) + head, size - head};
  Exchange exchange;
  exchange.suite = {kKems[data[0] % kKems.size()], kKdfs[data[1] % kKdfs.size()],
                    kAeads[data[2] % kAeads.size()]};
  exchange.info = take(rest, data[3] % 32u);
  exchange.aad = take(rest, data[3] / 32u);
  if (data[0] & 0x80) {
    exchange.psk = Bytes(32, std::byte{1});
    exchange.psk_id = Bytes{static_cast<std::byte>(data[1])};
  }
  const Bytes plaintext{rest.begin(), rest.end()};
  const auto& receiver = receiver_of(exchange.suite.kem);
  auto sender = testing::setup_sender_from(
      exchange.suite, receiver.public_key, exchange.info, exchange.given_psk(),
      Bytes(randomness_bytes(exchange.suite.kem), static_cast<std::byte>(data[2])));
  FUZZ_CHECK(sender.has_value());
  exchange.enc.assign(sender->enc().begin(), sender->enc().end());
  exchange.sealed.resize(plaintext.size() + kAeadTagBytes);
  FUZZ_CHECK(sender->seal(exchange.aad, plaintext, exchange.sealed).has_value());
  FUZZ_CHECK(open(exchange) == plaintext);

  // One bit of everything that travels or was agreed on.
  const std::array parts{&exchange.enc, &exchange.sealed, &exchange.aad, &exchange.info,
                         &exchange.psk_id};
  auto& part = *parts[data[4] % parts.size()];
  if (part.empty()) return 0;
  const auto bit = (data[4] * 251u + data[5] * 8191u) % (part.size() * 8);
  // RFC 7748: the top bit of an X25519 share is not part of it. The secret, though, is bound to the
  // bytes that travelled, so this bit counts like any other.
  part[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
  FUZZ_CHECK(!open(exchange));
  return 0;
}
