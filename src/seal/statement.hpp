// What a server says about itself, signed by its identity: the statement (which key opens sealed
// requests, until when, and what vouches for the machine), and the evidence document that carries
// it with a fresh nonce and the server's time. docs/spec/sealed-http.md has the bytes.
#pragma once

#include <array>
#include <optional>
#include <string>

#include "core/bytes.hpp"
#include "core/secret.hpp"
#include "core/time.hpp"
#include "crypto/hash.hpp"
#include "crypto/sign.hpp"
#include "seal/key_config.hpp"

namespace tacit::seal {

// Who vouches for the machine. With any but none, an evidence bundle follows the document
// (docs/spec/evidence.md).
enum class Attester : std::uint8_t {
  none = 0,  // nobody: the identity key is all there is, as with SSH
  tdx = 1,   // Intel TDX
  snp = 2,   // AMD SEV-SNP
  tpm = 3,   // a TPM 2.0
  nitro = 4  // AWS Nitro
};
std::string_view attester_name(Attester attester) noexcept;

// IdentityKey is the public half of a server's identity: an Ed25519 and an ML-DSA-65 key. Both must
// sign, so that forging takes breaking both.
struct IdentityKey {
  crypto::VerifyingKey ed25519;
  crypto::VerifyingKey ml_dsa_65;

  // SHA-256 over both; what clients pin. Written "tacit1:" and 64 hexadecimal digits.
  std::string fingerprint() const;
};

struct Statement {
  Attester attester = Attester::none;
  WallTime issued_at;   // times are whole milliseconds
  WallTime not_before;  // of the sealed key
  WallTime not_after;
  IdentityKey identity;
  KeyConfig sealed;
  std::vector<KeyConfig> ohttp;  // for plain Oblivious HTTP; may be empty
  std::string software;          // "tacit 0.1.0"
};

Bytes encode_statement(const Statement& statement);
// Errors: malformed, unsupported (version, attester), too_large.
Result<Statement> parse_statement(BytesView bytes);

using EvidenceNonce = std::array<std::byte, 32>;

// Identity is the private half. Movable; const functions are thread-safe.
class Identity {
 public:
  static Identity generate();
  // The file form: two 32-byte seeds. Error: malformed.
  static Result<Identity> from_seeds(BytesView seeds);
  SecretBytes seeds() const;

  IdentityKey public_key() const;
  // The evidence document for `nonce`; `now` is the server's time.
  Bytes sign(BytesView statement, const EvidenceNonce& nonce, WallTime now) const;

 private:
  Identity(SecretBytes seeds, crypto::SigningKey ed25519, crypto::SigningKey ml_dsa_65);
  SecretBytes seeds_;
  crypto::SigningKey ed25519_;
  crypto::SigningKey ml_dsa_65_;
};

// Evidence is a document whose signatures were checked against the identity that it names: nothing
// is said yet about whether that identity is the right one.
struct Evidence {
  Statement statement;
  crypto::Sha256Digest statement_digest{};
  WallTime now;  // the server's time when it signed
  Bytes bundle;  // what vouches for the machine, unread; empty exactly when the attester is none
};
// `nonce` is the one that was asked for. Errors: malformed, unsupported, too_large; corrupt when a
// signature does not verify or the nonce is another.
Result<Evidence> open_evidence(BytesView document, const EvidenceNonce& nonce);
// The nonce that a document says it answers; for documents that were kept. Error: malformed.
Result<EvidenceNonce> evidence_nonce(BytesView document);
// Appends the bundle to a document whose statement names an attester.
void append_bundle(Bytes& document, BytesView bundle);

inline constexpr std::size_t kEvidenceBytesMax = 64 * 1024;  // without the bundle
inline constexpr std::size_t kEvidenceBundleBytesMax = 8 * 1024 * 1024;
inline constexpr std::size_t kEvidenceDocumentBytesMax =
    kEvidenceBytesMax + kEvidenceBundleBytesMax;
inline constexpr std::string_view kEvidenceMediaType = "application/tacit-evidence";

}  // namespace tacit::seal
