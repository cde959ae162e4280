// What several formats share about TPM quotes: values, and their checks. Private to this module.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include <boost/json.hpp>

#include "attest/evidence.hpp"
#include "attest/tpm_quote.hpp"

namespace tacit::attest {

// A quote with its signature and the values of the PCRs it is about.
struct TpmSignedQuote {
  Bytes message;
  Bytes signature;          // empty when nobody signed it
  std::vector<Bytes> pcrs;  // 24; empty ones were not given
};

// One TPM's quotes, of one or more banks, and what came with them.
struct TpmParts {
  std::vector<TpmSignedQuote> quotes;
  std::optional<crypto::VerifyingKey> own_key;  // proves no TPM by itself
  std::vector<CertificatePtr> certificates;     // its attestation key's first
  EventLogPtr log;
};

class TpmEvidence final : public Evidence {
 public:
  explicit TpmEvidence(TpmParts parts) : parts_{std::move(parts)} {}
  std::string_view kind() const override { return "tpm"; }
  void appraise(const Context& context, Appraisal& out) const override;
  const TpmParts& parts() const noexcept { return parts_; }
  bool is_signed_by(const crypto::VerifyingKey& key) const;

 private:
  TpmParts parts_;
};

// {"message","signature","pcrs"}: bytes as hexadecimal, base64 or lists of numbers, PCRs of the
// SHA-256 bank. Errors: malformed.
Result<TpmSignedQuote> read_tpm_json(const boost::json::object& object);
// Bytes written in one of these ways; nullopt when in none.
std::optional<Bytes> tpm_json_bytes(const boost::json::value& value);

// Signatures, nonce, PCRs, event logs, and the policy's values; claims. False, with the reason,
// when the quotes are not `key`'s or not about the PCRs.
bool check_tpm_quotes(const TpmParts& parts, const crypto::VerifyingKey& key,
                      const Context& context, Appraisal& out);

}  // namespace tacit::attest
