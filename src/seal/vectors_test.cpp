// tests/vectors/sealed-http.txt: one exchange with every secret, for other implementations. It is
// opened here with what the product uses, so that neither can change alone.
#include <algorithm>
#include <fstream>
#include <map>

#include <gtest/gtest.h>

#include "core/text.hpp"
#include "seal/bhttp.hpp"
#include "seal/sealed_client.hpp"
#include "seal/sealed_server.hpp"
#include "seal/statement.hpp"

namespace tacit::seal {
namespace {

using Vector = std::map<std::string, std::string>;

constexpr std::string_view kApiKey = "tk-AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8";
constexpr std::string_view kQuestion = "What is sealed?";
constexpr WallTime kNow{Seconds{1'800'000'000}};

Vector read_vector() {
  std::ifstream file{TACIT_SEALED_VECTORS};
  Vector vector;
  for (std::string line; std::getline(file, line);) {
    const auto equals = line.find(" = ");
    if (line.starts_with('#') || equals == std::string::npos) continue;
    vector.emplace(line.substr(0, equals), line.substr(equals + 3));
  }
  return vector;
}

Bytes hex_of(const Vector& vector, const std::string& name) {
  return from_hex(vector.at(name)).value();
}

class TheCaller final : public CallerDirectory {
 public:
  explicit TheCaller(CallerKey key) : key_{std::move(key)} {}
  std::optional<Caller> find(const PskId& id) override {
    if (id != key_.id) return std::nullopt;
    return Caller{SecretBytes{key_.psk.reveal()}};
  }

 private:
  CallerKey key_;
};

class ClockAt final : public Clock {
 public:
  SteadyTime now() const override { return {}; }
  WallTime wall() const override { return kNow; }
};

CallerKey caller() { return caller_key(crypto::sha256(as_bytes(kApiKey))); }

Bytes question() {
  auto message = bhttp_head(
      BhttpRequest{"POST", "https", "ai.example", "/v1/ask", {{"content-type", "text/plain"}}});
  put_bhttp_content(message, as_bytes(kQuestion));
  put_bhttp_end(message);
  return message;
}

Bytes open_request(crypto::KemPrivateKey key, const KeyConfig& config, const Binding& binding,
                   BytesView wire) {
  KeyRing ring;
  ring.add({std::move(key), config, binding, kNow, kNow + Seconds{600}}, kNow);
  TheCaller callers{caller()};
  ReplayCache replays;
  const ClockAt clock;
  SealedOpener opener{{ring, callers, replays, clock}};
  opener.feed(wire);
  opener.end();
  Bytes opened;
  while (const auto data = opener.next().value())
    opened.insert(opened.end(), data->begin(), data->end());
  EXPECT_TRUE(opener.finished());
  return opened;
}

TEST(SealedVectors, OpenWithTheirSecrets) {
  const auto vector = read_vector();
  ASSERT_FALSE(vector.empty()) << TACIT_SEALED_VECTORS;
  EvidenceNonce nonce{};
  std::ranges::copy(hex_of(vector, "evidence_nonce"), nonce.begin());
  const auto evidence = open_evidence(hex_of(vector, "evidence"), nonce);
  ASSERT_TRUE(evidence) << evidence.error().message();
  EXPECT_EQ(evidence->statement.identity.fingerprint(), vector.at("fingerprint"));
  const auto known = server_key(evidence->statement.sealed, evidence->statement_digest).value();
  EXPECT_EQ(to_hex(sealed_info(Direction::request, known.binding)), vector.at("info_req"));
  EXPECT_EQ(to_hex(sealed_info(Direction::response, known.binding)), vector.at("info_res"));
  EXPECT_EQ(to_hex(caller().psk.reveal()), vector.at("psk"));
  EXPECT_EQ(to_hex(caller().id), vector.at("psk_id"));

  auto key =
      crypto::KemPrivateKey::parse(kSealedSuite.kem, hex_of(vector, "server_private_key")).value();
  const auto opened = open_request(std::move(key), evidence->statement.sealed, known.binding,
                                   hex_of(vector, "request"));
  EXPECT_EQ(to_hex(opened), vector.at("request_bhttp"));
  EXPECT_EQ(opened, question());
}

}  // namespace
}  // namespace tacit::seal
