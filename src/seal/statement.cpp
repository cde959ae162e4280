#include "seal/statement.hpp"

#include <algorithm>

#include "core/text.hpp"
#include "crypto/random.hpp"
#include "seal/sealed.hpp"

namespace tacit::seal {
namespace {

constexpr std::string_view kMagic = "TEV1";
constexpr std::uint8_t kVersion = 1;
constexpr std::uint64_t kUnixMsMax = 4'102'444'800'000;  // 2100-01-01
constexpr std::size_t kSeedBytes = 32;
constexpr std::size_t kSoftwareBytesMax = 64;

std::uint64_t unix_ms(WallTime time) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<Milliseconds>(time.time_since_epoch()).count());
}

void put(ByteWriter& out, BytesView bytes) {
  out.u16_be(static_cast<std::uint16_t>(bytes.size()));
  out.raw(bytes);
}

Result<BytesView> get(ByteReader& in) {
  TACIT_TRY(const auto n, in.u16_be());
  return in.take(n);
}

Result<WallTime> get_time(ByteReader& in) {
  TACIT_TRY(const auto ms, in.u64_be());
  if (ms > kUnixMsMax) return fail(Code::malformed, "time in a statement");
  return WallTime{Milliseconds{ms}};
}

Bytes signed_message(const EvidenceNonce& nonce, WallTime now,
                     const crypto::Sha256Digest& statement_digest) {
  ByteWriter out;
  out.raw(std::string_view{"tacit evidence v1"});
  out.u8(0);
  out.raw(nonce);
  out.u64_be(unix_ms(now));
  out.raw(statement_digest);
  return std::move(out).take();
}

// Errors of making keys from right-sized seeds and of signing are not possible; value() ends the
// process if they happen.
crypto::SigningKey key_of(crypto::KeyKind kind, BytesView seed) {
  return crypto::SigningKey::from_seed(kind, seed).value();
}

}  // namespace

std::string_view attester_name(Attester attester) noexcept {
  switch (attester) {
    case Attester::tdx: return "tdx";
    case Attester::snp: return "snp";
    case Attester::tpm: return "tpm";
    case Attester::nitro: return "nitro";
    case Attester::none: break;
  }
  return "none";
}

std::string IdentityKey::fingerprint() const {
  crypto::Sha256 hash;
  hash.update(as_bytes("tacit identity v1"));
  hash.update(ed25519.raw());
  hash.update(ml_dsa_65.raw());
  return "tacit1:" + to_hex(hash.finish());
}

Bytes encode_statement(const Statement& statement) {
  ByteWriter out;
  out.u8(kVersion);
  out.u8(static_cast<std::uint8_t>(statement.attester));
  for (const auto time : {statement.issued_at, statement.not_before, statement.not_after})
    out.u64_be(unix_ms(time));
  put(out, statement.identity.ed25519.raw());
  put(out, statement.identity.ml_dsa_65.raw());
  put(out, encode_key_config(statement.sealed));
  put(out, encode_key_configs(statement.ohttp));
  put(out, as_bytes(statement.software));
  return std::move(out).take();
}

Result<Statement> parse_statement(BytesView bytes) {
  ByteReader in{bytes};
  TACIT_TRY(const auto version, in.u8());
  if (version != kVersion) return fail(Code::unsupported, "version of the server's statement");
  TACIT_TRY(const auto attester, in.u8());
  if (attester > static_cast<std::uint8_t>(Attester::nitro))
    return fail(Code::unsupported, "attester of the server's statement");
  TACIT_TRY(const auto issued_at, get_time(in));
  TACIT_TRY(const auto not_before, get_time(in));
  TACIT_TRY(const auto not_after, get_time(in));
  TACIT_TRY(const auto ed25519_bytes, get(in));
  TACIT_TRY(auto ed25519, crypto::VerifyingKey::parse_raw(crypto::KeyKind::ed25519, ed25519_bytes));
  TACIT_TRY(const auto ml_dsa_bytes, get(in));
  TACIT_TRY(auto ml_dsa, crypto::VerifyingKey::parse_raw(crypto::KeyKind::ml_dsa_65, ml_dsa_bytes));
  TACIT_TRY(const auto sealed_bytes, get(in));
  TACIT_TRY(auto sealed, parse_key_config(sealed_bytes));
  // Version 1 has one suite. What says more would not be what both sides bind.
  const bool one_suite =
      sealed.kem == kSealedSuite.kem &&
      sealed.suites == std::vector<SymmetricSuite>{{kSealedSuite.kdf, kSealedSuite.aead}};
  if (!one_suite || !std::ranges::equal(encode_key_config(sealed), sealed_bytes)) {
    return fail(Code::unsupported, "suite of the server's sealed key");
  }
  TACIT_TRY(const auto ohttp_bytes, get(in));
  TACIT_TRY(auto ohttp, parse_key_configs(ohttp_bytes));
  TACIT_TRY(const auto software_bytes, get(in));
  const auto software = as_text(software_bytes);
  const bool printable =
      std::ranges::all_of(software, [](char c) { return c >= 0x20 && c < 0x7f; });
  if (!in.done() || not_after < not_before || software.size() > kSoftwareBytesMax || !printable) {
    return fail(Code::malformed, "statement");
  }
  return Statement{Attester{attester},
                   issued_at,
                   not_before,
                   not_after,
                   {std::move(ed25519), std::move(ml_dsa)},
                   std::move(sealed),
                   std::move(ohttp),
                   std::string{software}};
}

Identity::Identity(SecretBytes seeds, crypto::SigningKey ed25519, crypto::SigningKey ml_dsa_65)
    : seeds_{std::move(seeds)}, ed25519_{std::move(ed25519)}, ml_dsa_65_{std::move(ml_dsa_65)} {}

Identity Identity::generate() {
  SecretBytes seeds{2 * kSeedBytes};
  crypto::random_bytes(seeds.reveal_mutable());
  return from_seeds(seeds.reveal()).value();
}

Result<Identity> Identity::from_seeds(BytesView seeds) {
  if (seeds.size() != 2 * kSeedBytes) return fail(Code::malformed, "identity key");
  auto ed25519 = key_of(crypto::KeyKind::ed25519, seeds.first(kSeedBytes));
  auto ml_dsa = key_of(crypto::KeyKind::ml_dsa_65, seeds.last(kSeedBytes));
  return Identity{SecretBytes{seeds}, std::move(ed25519), std::move(ml_dsa)};
}

SecretBytes Identity::seeds() const { return SecretBytes{seeds_.reveal()}; }

IdentityKey Identity::public_key() const {
  return {ed25519_.verifying_key(), ml_dsa_65_.verifying_key()};
}

Bytes Identity::sign(BytesView statement, const EvidenceNonce& nonce, WallTime now) const {
  const auto message = signed_message(nonce, now, crypto::sha256(statement));
  ByteWriter out;
  out.raw(kMagic);
  put(out, statement);
  out.raw(nonce);
  out.u64_be(unix_ms(now));
  put(out, ed25519_.sign(crypto::SignatureScheme::ed25519, message).value());
  put(out, ml_dsa_65_.sign(crypto::SignatureScheme::ml_dsa, message).value());
  return std::move(out).take();
}

Result<Evidence> open_evidence(BytesView document, const EvidenceNonce& nonce) {
  if (document.size() > kEvidenceDocumentBytesMax)
    return fail(Code::too_large, "evidence document");
  ByteReader in{document};
  TACIT_TRY(const auto magic, in.take(kMagic.size()));
  if (as_text(magic) != kMagic) return fail(Code::malformed, "this is no evidence document");
  TACIT_TRY(const auto statement_bytes, get(in));
  TACIT_TRY(const auto said_nonce, in.take(nonce.size()));
  TACIT_TRY(const auto now, get_time(in));
  TACIT_TRY(const auto ed25519_signature, get(in));
  TACIT_TRY(const auto ml_dsa_signature, get(in));
  TACIT_TRY(auto statement, parse_statement(statement_bytes));
  BytesView bundle;
  if (statement.attester != Attester::none) {
    TACIT_TRY(const auto size, in.u32_be());
    TACIT_TRY(bundle, in.take(size));
    if (bundle.empty()) return fail(Code::malformed, "evidence document without its bundle");
  }
  if (!in.done()) return fail(Code::malformed, "evidence document is followed by something");
  if (!std::ranges::equal(said_nonce, nonce)) {
    return fail(Code::corrupt, "evidence is not fresh: it answers another question");
  }
  const auto digest = crypto::sha256(statement_bytes);
  const auto message = signed_message(nonce, now, digest);
  TACIT_CHECK(statement.identity.ed25519.verify(crypto::SignatureScheme::ed25519, message,
                                                ed25519_signature));
  TACIT_CHECK(statement.identity.ml_dsa_65.verify(crypto::SignatureScheme::ml_dsa, message,
                                                  ml_dsa_signature));
  return Evidence{std::move(statement), digest, now, {bundle.begin(), bundle.end()}};
}

Result<EvidenceNonce> evidence_nonce(BytesView document) {
  ByteReader in{document};
  TACIT_TRY(const auto magic, in.take(kMagic.size()));
  if (as_text(magic) != kMagic) return fail(Code::malformed, "this is no evidence document");
  TACIT_CHECK(get(in));
  EvidenceNonce nonce{};
  TACIT_TRY(const auto said, in.take(nonce.size()));
  std::ranges::copy(said, nonce.begin());
  return nonce;
}

void append_bundle(Bytes& document, BytesView bundle) {
  ByteWriter out;
  out.u32_be(static_cast<std::uint32_t>(bundle.size()));
  out.raw(bundle);
  const auto tail = std::move(out).take();
  document.insert(document.end(), tail.begin(), tail.end());
}

}  // namespace tacit::seal
