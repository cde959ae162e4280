// TPM 2.0 quotes: TPMS_ATTEST of type ATTEST_QUOTE and its signature.
// Layout: "TPM 2.0 Library", part 2, sections 10.12 and 11.3. Views point into the parsed bytes.
#pragma once

#include <cstdint>
#include <vector>

#include "core/bytes.hpp"
#include "core/error.hpp"
#include "crypto/sign.hpp"

namespace tacit::attest {

inline constexpr std::uint16_t kTpmSha1 = 0x0004;
inline constexpr std::uint16_t kTpmSha256 = 0x000b;
inline constexpr std::uint16_t kTpmSha384 = 0x000c;
inline constexpr std::uint16_t kTpmSha512 = 0x000d;
inline constexpr unsigned kTpmPcrs = 24;

struct PcrSelection {
  std::uint16_t hash = 0;
  std::vector<unsigned> pcrs;  // ascending
};

struct TpmQuote {
  BytesView whole;       // what is signed
  BytesView extra_data;  // the nonce
  std::uint64_t firmware_version = 0;
  std::vector<PcrSelection> selections;
  BytesView pcr_digest;
};

bool is_tpm_quote(BytesView bytes) noexcept;
// Errors: malformed; unsupported (another kind of attestation).
Result<TpmQuote> parse_tpm_quote(BytesView bytes);

// Whether `signature`, bare RSASSA bytes or a TPMT_SIGNATURE, of SHA-256 or better, verifies.
bool verify_tpm_quote(const TpmQuote& quote, BytesView signature, const crypto::VerifyingKey& key);

// Whether the bytes can be a signature of a TPM's key: as long as one of RSA, or a TPMT_SIGNATURE.
bool is_tpm_signature(BytesView bytes) noexcept;

// Whether this names a bank whose values are read here: SHA-1, -256, -384 or -512.
bool is_tpm_bank(std::uint16_t hash) noexcept;

// TPMT_PUBLIC of an RSA or ECDSA (P-256, P-384) key that signs and is restricted, as attestation
// keys are: it then signs nothing that only looks like a quote. Errors: malformed, unsupported.
Result<crypto::VerifyingKey> parse_tpm_public(BytesView bytes);

// Whether the quote is about exactly one bank and `values` (index 0 first; 24 of them) have its
// size and hash to its digest, with SHA-256.
bool matches_pcrs(const TpmQuote& quote, const std::vector<Bytes>& values);

}  // namespace tacit::attest
