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

struct Opened {
  Bytes request;
  std::optional<SealedAnswer> answer;
};

Opened open_request(crypto::KemPrivateKey key, const KeyConfig& config, const Binding& binding,
                    BytesView wire) {
  KeyRing ring;
  ring.add({std::move(key), config, binding, kNow, kNow + Seconds{600}}, kNow);
  TheCaller callers{caller()};
  ReplayCache replays;
  const ClockAt clock;
  SealedOpener opener{{ring, callers, replays, clock}};
  opener.feed(wire);
  opener.end();
  Opened opened;
  while (const auto data = opener.next().value())
    opened.request.insert(opened.request.end(), data->begin(), data->end());
  EXPECT_TRUE(opener.finished());
  opened.answer.emplace(opener.answer().value());
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
  EXPECT_EQ(to_hex(opened.request), vector.at("request_bhttp"));
  EXPECT_EQ(opened.request, question());
}

// Writes the file anew; for a new version of the protocol only.
TEST(SealedVectors, DISABLED_Write) {
  auto key = crypto::KemPrivateKey::generate(kSealedSuite.kem);
  auto reply_key = crypto::KemPrivateKey::generate(kSealedSuite.kem);
  const auto identity = Identity::generate();
  const auto public_key = key.public_bytes();
  const Statement statement{.attester = Attester::none,
                            .issued_at = kNow,
                            .not_before = kNow,
                            .not_after = kNow + Seconds{600},
                            .identity = identity.public_key(),
                            .sealed = {0x80,
                                       key.id(),
                                       {public_key.begin(), public_key.end()},
                                       {{kSealedSuite.kdf, kSealedSuite.aead}}},
                            .ohttp = {},
                            .software = "tacit vectors"};
  const auto statement_bytes = encode_statement(statement);
  EvidenceNonce nonce{};
  for (std::size_t i = 0; i < nonce.size(); ++i) nonce[i] = static_cast<std::byte>(i);
  const auto server = server_key(statement.sealed, crypto::sha256(statement_bytes)).value();

  std::ofstream out{TACIT_SEALED_VECTORS};
  const auto put = [&out](const char* name, BytesView bytes) {
    out << name << " = " << to_hex(bytes) << '\n';
  };
  out << "# One exchange of docs/spec/sealed-http.md, with every secret. All values but api_key "
         "and\n"
         "# fingerprint are hexadecimal. reply_private_key is the client's, of this request "
         "alone.\n";
  out << "api_key = " << kApiKey << '\n';
  out << "fingerprint = " << statement.identity.fingerprint() << '\n';
  put("evidence_nonce", nonce);
  put("evidence", identity.sign(statement_bytes, nonce, kNow));
  put("statement", statement_bytes);
  put("server_private_key", key.private_bytes().reveal());
  put("reply_private_key", reply_key.private_bytes().reveal());
  put("psk", caller().psk.reveal());
  put("psk_id", caller().id);
  put("info_req", sealed_info(Direction::request, server.binding));
  put("info_res", sealed_info(Direction::response, server.binding));
  auto request = SealedRequest::begin(RequestDraft::make(server, std::move(reply_key)).value(),
                                      caller(), {8, 0}, kNow)
                     .value();
  Bytes wire{request.head().begin(), request.head().end()};
  ASSERT_TRUE(request.write(question(), wire));
  ASSERT_TRUE(request.finish(wire));
  put("request", wire);
  put("request_bhttp", question());
  auto opened = open_request(std::move(key), statement.sealed, server.binding, wire);
  auto answer = bhttp_head(BhttpResponse{200, {{"content-type", "text/plain"}}});
  put_bhttp_content(answer, as_bytes("All of it."));
  put_bhttp_end(answer);
  Bytes back{opened.answer->head().begin(), opened.answer->head().end()};
  ASSERT_TRUE(opened.answer->write(answer, back));
  ASSERT_TRUE(opened.answer->finish(back));
  put("reply", back);
  put("reply_bhttp", answer);
}

}  // namespace
}  // namespace tacit::seal
