// HPKE vectors in the JSON of RFC 9180's appendix and of draft-ietf-hpke-pq: an array of objects
// with kem_id, kdf_id, aead_id, encryptions and exports.
#include "crypto/hpke.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

#include "crypto/testing/hpke_testing.hpp"
#include "crypto/testing/kem_testing.hpp"
#include "json.hpp"

namespace tacit::vectors {
namespace {

using namespace crypto;  // a file about one module
using boost::json::object;

constexpr int kModePsk = 1;

// The numbers of exports count from 0; the draft's own files give every sequence number in turn.
std::size_t sequence_of(const object& encryption, std::size_t index) {
  return has(encryption, "seq") ? number(encryption, "seq") : index;
}

// One vector; the first thing that differs ends it.
class HpkeVector {
 public:
  HpkeVector(const object& vector, const HpkeSuite& suite) : vector_{vector}, suite_{suite} {
    if (number(vector, "mode") == kModePsk) {
      psk_key_ = bytes(vector, "psk");
      psk_id_ = bytes(vector, "psk_id");
      psk_ = HpkePsk{psk_key_, psk_id_};
    }
    info_ = bytes(vector, "info");
    enc_ = bytes(vector, "enc");
  }

  // What is wrong, or nothing.
  std::string_view run() {
    const auto key = KemPrivateKey::parse(suite_.kem, bytes(vector_, "skRm"));
    if (!key) return "skRm is refused";
    if (!same(key->public_bytes(), "pkRm")) return "pkRm";
    if (const auto wrong = check_derived(); !wrong.empty()) return wrong;
    const auto secret = key->decapsulate(enc_);
    if (!secret || !same(secret->reveal(), "shared_secret")) return "shared_secret";
    if (const auto wrong = check_schedule(secret->reveal()); !wrong.empty()) return wrong;
    const auto public_key = KemPublicKey::parse(suite_.kem, key->public_bytes());
    if (!public_key) return "pkRm is refused";
    auto receiver = HpkeReceiver::setup(suite_, *key, enc_, info_, psk_);
    if (!receiver) return "set-up of the receiver";
    if (!has(vector_, "ikmE")) return check_messages(nullptr, *receiver);
    auto sender =
        testing::setup_sender_from(suite_, *public_key, info_, psk_, bytes(vector_, "ikmE"));
    if (!sender || !std::ranges::equal(sender->enc(), enc_)) return "enc";
    return check_messages(&*sender, *receiver);
  }

 private:
  bool same(BytesView ours, std::string_view name) const {
    return std::ranges::equal(ours, bytes(vector_, name));
  }

  std::string_view check_derived() const {
    if (!has(vector_, "ikmR")) return {};
    const auto derived = KemPrivateKey::derive(suite_.kem, bytes(vector_, "ikmR"));
    if (!derived || !same(derived->public_bytes(), "pkRm")) return "DeriveKeyPair(ikmR)";
    return same(derived->private_bytes().reveal(), "skRm") ? "" : "skRm of DeriveKeyPair(ikmR)";
  }

  std::string_view check_schedule(BytesView secret) const {
    const auto schedule = testing::hpke_secrets(suite_, secret, info_, psk_);
    if (!schedule) return "key schedule";
    if (!same(schedule->exporter_secret.reveal(), "exporter_secret")) return "exporter_secret";
    if (suite_.aead == AeadId::export_only) return {};
    if (!same(schedule->key.reveal(), "key")) return "key";
    return same(schedule->base_nonce, "base_nonce") ? "" : "base_nonce";
  }

  std::string_view check_messages(HpkeSender* sender, HpkeReceiver& receiver) {
    std::size_t position = 0, index = 0;
    for (const auto& value : vector_.at("encryptions").as_array()) {
      const auto& encryption = value.as_object();
      const auto sequence = sequence_of(encryption, index++);
      if (sender == nullptr && sequence != position) return "a gap without ikmE";
      for (; position < sequence; ++position) {
        if (!pass_one(*sender, receiver)) return "messages between the listed ones";
      }
      if (const auto wrong = check_message(encryption, sender, receiver); !wrong.empty()) {
        return wrong;
      }
      ++position;
    }
    for (const auto& value : vector_.at("exports").as_array()) {
      const auto& exported = value.as_object();
      const auto ours =
          receiver.export_secret(bytes(exported, "exporter_context"), number(exported, "L"));
      if (!ours || !std::ranges::equal(ours->reveal(), bytes(exported, "exported_value"))) {
        return "exported_value";
      }
    }
    return {};
  }

  static bool pass_one(HpkeSender& sender, HpkeReceiver& receiver) {
    std::array<std::byte, kAeadTagBytes> sealed{};
    return sender.seal({}, {}, sealed) && receiver.open({}, sealed, {});
  }

  static std::string_view check_message(const object& encryption, HpkeSender* sender,
                                        HpkeReceiver& receiver) {
    const auto aad = bytes(encryption, "aad");
    const auto plaintext = bytes(encryption, "pt");
    const auto ciphertext = bytes(encryption, "ct");
    Bytes sealed(plaintext.size() + kAeadTagBytes);
    if (sender != nullptr && (!sender->seal(aad, plaintext, sealed) || sealed != ciphertext)) {
      return "ct";
    }
    Bytes opened(plaintext.size());
    auto damaged = ciphertext;
    damaged[damaged.size() / 2] ^= std::byte{1};
    if (receiver.open(aad, damaged, opened)) return "a flipped bit opened";
    if (!receiver.open(aad, ciphertext, opened) || opened != plaintext) return "pt";
    return {};
  }

  const object& vector_;
  HpkeSuite suite_;
  Bytes psk_key_, psk_id_, info_, enc_;
  std::optional<HpkePsk> psk_;
};

std::string not_offered(const Error& error) {
  std::array<char, 64> line{};
  std::snprintf(line.data(), line.size(), "%.*s 0x%04x not offered",
                static_cast<int>(error.what().size()), error.what().data(),
                static_cast<unsigned>(error.value("id")));
  return line.data();
}

void run(const File& file, Tally& tally) {
  std::size_t index = 0;
  for (const auto* vector : objects(file)) {
    const auto name = "vector " + std::to_string(index++);
    const auto suite = HpkeSuite::parse(static_cast<std::uint16_t>(number(*vector, "kem_id")),
                                        static_cast<std::uint16_t>(number(*vector, "kdf_id")),
                                        static_cast<std::uint16_t>(number(*vector, "aead_id")));
    if (!suite) {
      tally.skip(not_offered(suite.error()));
    } else if (number(*vector, "mode") > kModePsk) {
      tally.skip("sender authenticated by a KEM key (modes 2 and 3) not offered");
    } else {
      const auto wrong = HpkeVector{*vector, *suite}.run();
      tally.check(wrong.empty(), name, wrong);
    }
  }
}

bool recognises(const File& file) {
  const auto found = objects(file);
  return !found.empty() && std::ranges::all_of(found, [](const object* vector) {
    return has_all(*vector,
                   {"mode", "kem_id", "kdf_id", "aead_id", "enc", "encryptions", "exports"});
  });
}

}  // namespace

Kinds hpke_kinds() { return {{"HPKE (RFC 9180, hpke-pq)", recognises, run}}; }

}  // namespace tacit::vectors
