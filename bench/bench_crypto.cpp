// What the sealed channel is made of, on one core: authenticated encryption by frame size, and
// session set-up against the OpenSSL primitives it cannot do without, measured in the same run.
// Prints a table, and JSON with --json.
//
//   ./dev bench crypto
//
// "of bound" is the share of the rate that would be reached if a session cost its bare primitives
// and nothing else: no key parsing, no contexts, no hashing, no memory.
#include <openssl/core_names.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "bench_measure.hpp"
#include "crypto/aead.hpp"
#include "crypto/hpke.hpp"
#include "crypto/random.hpp"

namespace {

using namespace tacit::crypto;  // a program of one file
using tacit::as_bytes;
using tacit::Bytes;
using tacit::BytesView;
using tacit::bench::measure;
using tacit::bench::require;

class Report {
 public:
  explicit Report(bool json) : json_{json} {}

  void heading(const char* title) {
    if (!json_) std::printf("\n%s\n", title);
  }
  void line(const std::string& name, double value, const char* unit, const std::string& note = "") {
    if (!json_) std::printf("  %-44s %12.2f %-6s %s\n", name.c_str(), value, unit, note.c_str());
    rows_ += (rows_.empty() ? "" : ",") + ("{\"name\":\"" + name + "\",\"value\":") +
             std::to_string(value) + ",\"unit\":\"" + unit + "\"}";
  }
  void end() const {
    if (json_) std::printf("{\"bench\":\"crypto\",\"rows\":[%s]}\n", rows_.c_str());
  }

 private:
  bool json_;
  std::string rows_;
};

const char* name_of(AeadId id) {
  if (id == AeadId::aes_128_gcm) return "AES-128-GCM";
  return id == AeadId::aes_256_gcm ? "AES-256-GCM" : "ChaCha20-Poly1305";
}

// --- authenticated encryption -------------------------------------------------------------------

void bench_aead(Report& report) {
  report.heading("Frames, one context, out of place");
  for (const auto id : {AeadId::aes_128_gcm, AeadId::aes_256_gcm, AeadId::chacha20_poly1305}) {
    auto made = Aead::make(id, Bytes(aead_key_bytes(id), std::byte{1}));
    require(made.has_value());
    auto& aead = *made;
    for (const std::size_t size :
         {std::size_t{64}, std::size_t{1024}, std::size_t{16 * 1024}, std::size_t{64 * 1024}}) {
      const Bytes plaintext(size, std::byte{2});
      const std::array<std::byte, 8> aad{};
      Bytes sealed(size + kAeadTagBytes), opened(size);
      const AeadNonce nonce{};
      require(aead.seal(nonce, aad, plaintext, sealed).has_value());
      const auto time =
          measure({[&] { require(aead.seal(nonce, aad, plaintext, sealed).has_value()); },
                   [&] { require(aead.open(nonce, aad, sealed, opened).has_value()); }});
      const auto prefix = std::string{name_of(id)} + " " + std::to_string(size) + " B ";
      for (const std::size_t i : {0u, 1u}) {
        std::array<char, 32> each{};
        std::snprintf(each.data(), each.size(), "%.2f us each", time[i] * 1e6);
        report.line(prefix + (i == 0 ? "seal" : "open"), static_cast<double>(size) / time[i] / 1e9,
                    "GB/s", each.data());
      }
    }
  }
}

// --- bare primitives ----------------------------------------------------------------------------

// OpenSSL's operations with everything prepared beforehand. Leaks: it lives as long as the program.
struct Primitives {
  static EVP_PKEY* new_key(const char* name) {
    EVP_PKEY* key = EVP_PKEY_Q_keygen(nullptr, nullptr, name);
    require(key != nullptr);
    return key;
  }
  static EVP_PKEY_CTX* context(EVP_PKEY* key) {
    EVP_PKEY_CTX* made = EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr);
    require(made != nullptr);
    return made;
  }

  EVP_PKEY* x25519 = new_key("X25519");
  EVP_PKEY* ml_kem = new_key("ML-KEM-768");
  EVP_PKEY_CTX* generating = EVP_PKEY_CTX_new_from_name(nullptr, "X25519", nullptr);
  EVP_PKEY_CTX* deriving = context(x25519);
  EVP_PKEY_CTX* encapsulating = context(ml_kem);
  EVP_PKEY_CTX* decapsulating = context(ml_kem);
  std::array<unsigned char, 1088> ciphertext{};
  std::array<unsigned char, 32> secret{};

  Primitives() {
    require(EVP_PKEY_keygen_init(generating) == 1 && EVP_PKEY_derive_init(deriving) == 1 &&
            EVP_PKEY_derive_set_peer(deriving, new_key("X25519")) == 1 &&
            EVP_PKEY_encapsulate_init(encapsulating, nullptr) == 1 &&
            EVP_PKEY_decapsulate_init(decapsulating, nullptr) == 1);
    encapsulate();
  }
  void generate() const {
    EVP_PKEY* key = nullptr;
    require(EVP_PKEY_generate(generating, &key) == 1);
    EVP_PKEY_free(key);
  }
  void derive() {
    std::size_t size = secret.size();
    require(EVP_PKEY_derive(deriving, secret.data(), &size) == 1);
  }
  void encapsulate() {
    std::size_t size = ciphertext.size(), secret_size = secret.size();
    require(EVP_PKEY_encapsulate(encapsulating, ciphertext.data(), &size, secret.data(),
                                 &secret_size) == 1);
  }
  void decapsulate() {
    std::size_t size = secret.size();
    require(EVP_PKEY_decapsulate(decapsulating, secret.data(), &size, ciphertext.data(),
                                 ciphertext.size()) == 1);
  }
};

// --- sessions -----------------------------------------------------------------------------------

void share(Report& report, const std::string& name, double seconds, double bound) {
  std::array<char, 64> note{};
  std::snprintf(note.data(), note.size(), "%8.1f us, %5.1f %% of bound", seconds * 1e6,
                100 * bound / seconds);
  report.line(name, 1 / seconds, "/s", note.data());
  report.line(name + ", share of bound", 100 * bound / seconds, "%");
}

void bench_sessions(Report& report) {
  Primitives bare;
  const HpkeSuite suite;  // X-Wing, HKDF-SHA256, AES-256-GCM
  const auto key = KemPrivateKey::generate(suite.kem);
  const auto public_key = KemPublicKey::parse(suite.kem, key.public_bytes());
  require(public_key.has_value());
  const auto info =
      as_bytes("tacit bench crypto, about as long as a real info string is: 80 bytes or more.....");
  const Bytes psk_bytes(32, std::byte{3});
  const HpkePsk psk{psk_bytes, as_bytes("key-0123456789")};
  auto sender = HpkeSender::setup(suite, *public_key, info, psk);
  require(sender.has_value());
  const Bytes enc{sender->enc().begin(), sender->enc().end()};

  const auto time = measure({
      [&] { bare.generate(); },
      [&] { bare.derive(); },
      [&] { bare.encapsulate(); },
      [&] { bare.decapsulate(); },
      [&] { require(public_key->encapsulate().has_value()); },
      [&] { require(key.decapsulate(enc).has_value()); },
      [&] { require(HpkeSender::setup(suite, *public_key, info, psk).has_value()); },
      [&] { require(HpkeReceiver::setup(suite, key, enc, info, psk).has_value()); },
      [&] { require(KemPublicKey::parse(suite.kem, key.public_bytes()).has_value()); },
      [&] { KemPrivateKey::generate(suite.kem); },
  });
  report.heading("OpenSSL's primitives, prepared");
  const std::array<const char*, 4> names{"X25519 key generation", "X25519 agreement",
                                         "ML-KEM-768 encapsulation", "ML-KEM-768 decapsulation"};
  for (std::size_t i = 0; i < names.size(); ++i) report.line(names[i], time[i] * 1e6, "us");
  const double encap_bound = time[0] + time[1] + time[2];
  const double decap_bound = time[1] + time[3];
  report.heading("X-Wing and HPKE sessions (PSK mode), keys parsed once");
  share(report, "X-Wing encapsulation", time[4], encap_bound);
  share(report, "X-Wing decapsulation", time[5], decap_bound);
  share(report, "HPKE set-up, sender", time[6], encap_bound);
  share(report, "HPKE set-up, receiver", time[7], decap_bound);
  report.heading("X-Wing keys");
  report.line("parse a public key", time[8] * 1e6, "us");
  report.line("generate a key pair", time[9] * 1e6, "us");
}

}  // namespace

int main(int argc, char** argv) {
  Report report{argc > 1 && std::string_view{argv[1]} == "--json"};
  bench_aead(report);
  bench_sessions(report);
  report.end();
  return 0;
}
