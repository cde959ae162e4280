#include "attest/tpm_quote.hpp"

#include <algorithm>
#include <array>

#include "attest/oids.hpp"
#include "crypto/hash.hpp"

namespace tacit::attest {
namespace {

constexpr auto kMagic = oid::bytes(0xff, 0x54, 0x43, 0x47);  // TPM_GENERATED_VALUE
constexpr std::uint16_t kAttestQuote = 0x8018;
constexpr std::uint16_t kRsaSsa = 0x0014;
constexpr std::uint16_t kEcdsa = 0x0018;
constexpr std::size_t kBanksMax = 8;

Result<BytesView> tpm2b(ByteReader& in, std::size_t size_max) {
  TACIT_TRY(const auto size, in.u16_be());
  if (size > size_max) return fail(Code::malformed, "size of a TPM structure");
  return in.take(size);
}

std::size_t bank_bytes(std::uint16_t hash) {
  switch (hash) {
    case kTpmSha1: return 20;
    case kTpmSha256: return 32;
    case kTpmSha384: return 48;
    case kTpmSha512: return 64;
    default: break;
  }
  return 0;
}

Result<PcrSelection> read_selection(ByteReader& in) {
  PcrSelection out;
  TACIT_TRY(out.hash, in.u16_be());
  TACIT_TRY(const auto size, in.u8());
  if (size != 3) return fail(Code::malformed, "PCR selection of a TPM quote");
  TACIT_TRY(const auto bits, in.take(size));
  for (unsigned i = 0; i < kTpmPcrs; ++i)
    if ((std::to_integer<unsigned>(bits[i / 8]) >> (i % 8) & 1U) != 0) out.pcrs.push_back(i);
  return out;
}

// The raw form r || s of 32-byte scalars from TPM's two sized ones.
Result<Bytes> ecdsa_raw(ByteReader& in) {
  Bytes out;
  for (int i = 0; i < 2; ++i) {
    TACIT_TRY(const auto scalar, tpm2b(in, 32));
    out.insert(out.end(), 32 - scalar.size(), std::byte{0});
    out.insert(out.end(), scalar.begin(), scalar.end());
  }
  return out;
}

bool verify_structure(const TpmQuote& quote, BytesView signature, const crypto::VerifyingKey& key) {
  ByteReader in{signature};
  const auto algorithm = in.u16_be();
  const auto hash = in.u16_be();
  if (!algorithm || !hash || *hash != kTpmSha256) return false;
  if (*algorithm == kRsaSsa) {
    const auto bare = tpm2b(in, 1024);
    return bare && in.done() &&
           key.verify(crypto::SignatureScheme::rsa_pkcs1_sha256, quote.whole, *bare).has_value();
  }
  if (*algorithm != kEcdsa) return false;
  const auto raw = ecdsa_raw(in);
  return raw && in.done() &&
         key.verify(crypto::SignatureScheme::ecdsa_sha256_raw, quote.whole, *raw).has_value();
}

}  // namespace

bool is_tpm_quote(BytesView bytes) noexcept {
  return bytes.size() > 6 && std::ranges::equal(bytes.first(4), kMagic) &&
         bytes[4] == std::byte{kAttestQuote >> 8U} && bytes[5] == std::byte{kAttestQuote & 0xffU};
}

Result<TpmQuote> parse_tpm_quote(BytesView bytes) {
  ByteReader in{bytes};
  TpmQuote out{.whole = bytes, .extra_data = {}, .selections = {}, .pcr_digest = {}};
  TACIT_TRY(const auto magic, in.take(4));
  TACIT_TRY(const auto type, in.u16_be());
  if (!std::ranges::equal(magic, kMagic)) return fail(Code::malformed, "TPM quote");
  if (type != kAttestQuote) return fail(Code::unsupported, "TPM attestation that is no quote");
  TACIT_CHECK(tpm2b(in, 70));  // the qualified name of the signer
  TACIT_TRY(out.extra_data, tpm2b(in, 64));
  TACIT_CHECK(in.take(17));  // clock info
  TACIT_TRY(out.firmware_version, in.u64_be());
  TACIT_TRY(const auto num_banks, in.u32_be());
  if (num_banks < 1 || num_banks > kBanksMax) return fail(Code::malformed, "banks of a TPM quote");
  for (std::uint32_t i = 0; i < num_banks; ++i) {
    TACIT_TRY(auto selection, read_selection(in));
    out.selections.push_back(std::move(selection));
  }
  TACIT_TRY(out.pcr_digest, tpm2b(in, 64));
  if (!in.done()) return fail(Code::malformed, "bytes after a TPM quote");
  return out;
}

bool verify_tpm_quote(const TpmQuote& quote, BytesView signature, const crypto::VerifyingKey& key) {
  if (key.kind() == crypto::KeyKind::rsa &&
      key.verify(crypto::SignatureScheme::rsa_pkcs1_sha256, quote.whole, signature).has_value())
    return true;
  return verify_structure(quote, signature, key);
}

bool is_tpm_signature(BytesView bytes) noexcept {
  if (bytes.size() == 256 || bytes.size() == 384 || bytes.size() == 512) return true;
  ByteReader in{bytes};
  const auto algorithm = in.u16_be();
  const auto hash = in.u16_be();
  return algorithm && hash && *hash == kTpmSha256 &&
         (*algorithm == kRsaSsa || *algorithm == kEcdsa) && bytes.size() <= 1030;
}

bool is_tpm_bank(std::uint16_t hash) noexcept { return bank_bytes(hash) != 0; }

bool matches_pcrs(const TpmQuote& quote, const std::vector<Bytes>& values) {
  if (quote.selections.size() != 1 || values.size() != kTpmPcrs) return false;
  const auto size = bank_bytes(quote.selections[0].hash);
  Bytes all;
  for (const auto i : quote.selections[0].pcrs) {
    if (size == 0 || values[i].size() != size) return false;
    all.insert(all.end(), values[i].begin(), values[i].end());
  }
  const auto digest = crypto::sha256(all);
  return !quote.selections[0].pcrs.empty() && std::ranges::equal(quote.pcr_digest, digest);
}

namespace {

constexpr std::uint32_t kRestricted = 1U << 16U;
constexpr std::uint32_t kDecrypt = 1U << 17U;
constexpr std::uint32_t kSign = 1U << 18U;
constexpr std::uint16_t kAlgorithmRsa = 0x0001;
constexpr std::uint16_t kAlgorithmEcc = 0x0023;
constexpr std::uint16_t kAlgorithmNull = 0x0010;

// TPMT_SYM_DEF_OBJECT, which a signing key has not, and the scheme with its hash.
Result<void> skip_schemes(ByteReader& in) {
  TACIT_TRY(const auto symmetric, in.u16_be());
  if (symmetric != kAlgorithmNull) return fail(Code::unsupported, "TPM key that encrypts");
  TACIT_TRY(const auto scheme, in.u16_be());
  if (scheme != kAlgorithmNull) TACIT_CHECK(in.u16_be());
  return {};
}

Result<crypto::VerifyingKey> ecc_key(ByteReader& in) {
  TACIT_TRY(const auto curve, in.u16_be());
  TACIT_TRY(const auto kdf, in.u16_be());
  if (kdf != kAlgorithmNull) return fail(Code::unsupported, "TPM key with a KDF");
  const std::size_t size = curve == 3 ? 32 : 48;
  if (curve != 3 && curve != 4) return fail(Code::unsupported, "curve of a TPM key");
  Bytes point{std::byte{4}};
  for (int i = 0; i < 2; ++i) {
    TACIT_TRY(const auto part, tpm2b(in, size));
    point.insert(point.end(), size - part.size(), std::byte{0});
    point.insert(point.end(), part.begin(), part.end());
  }
  return crypto::VerifyingKey::parse_raw(
      curve == 3 ? crypto::KeyKind::ecdsa_p256 : crypto::KeyKind::ecdsa_p384, point);
}

}  // namespace

Result<crypto::VerifyingKey> parse_tpm_public(BytesView bytes) {
  ByteReader in{bytes};
  TACIT_TRY(const auto algorithm, in.u16_be());
  TACIT_CHECK(in.u16_be());  // the hash of its name
  TACIT_TRY(const auto attributes, in.u32_be());
  TACIT_CHECK(tpm2b(in, 64));  // its policy
  if ((attributes & kRestricted) == 0 || (attributes & kSign) == 0 || (attributes & kDecrypt) != 0)
    return fail(Code::unsupported, "TPM key that is no attestation key");
  TACIT_CHECK(skip_schemes(in));
  if (algorithm == kAlgorithmRsa) {
    TACIT_CHECK(in.u16_be());  // bits
    TACIT_TRY(const auto exponent, in.u32_be());
    TACIT_TRY(const auto modulus, tpm2b(in, 1024));
    if (!in.done()) return fail(Code::malformed, "bytes after a TPM key");
    constexpr auto kDefaultExponent = oid::bytes(1, 0, 1);
    if (exponent != 0 && exponent != 65537) return fail(Code::unsupported, "exponent of a TPM key");
    return crypto::VerifyingKey::from_rsa(modulus, kDefaultExponent);
  }
  if (algorithm != kAlgorithmEcc) return fail(Code::unsupported, "kind of a TPM key");
  TACIT_TRY(auto key, ecc_key(in));
  if (!in.done()) return fail(Code::malformed, "bytes after a TPM key");
  return key;
}

}  // namespace tacit::attest
