// TPM quotes with their signature and PCR values, as attestation agents write them in JSON.
// Private.
#pragma once

#include <optional>
#include <vector>

#include "attest/evidence.hpp"
#include "attest/json.hpp"
#include "attest/tpm_quote.hpp"

namespace tacit::attest {

struct TpmJsonQuote {
  Bytes message;
  Bytes signature;
  std::vector<Bytes> pcrs;  // 24, of the SHA-256 bank
};

// Hexadecimal, base64 or base64url text, or a list of numbers.
std::optional<Bytes> tpm_json_bytes(const boost::json::value& value);
Result<TpmJsonQuote> read_tpm_json(const boost::json::object& object);

// Signature by `key`, PCR values, nonce, and the policy's PCRs. True when the signature and the
// digest are good, whatever the policy says about the rest.
bool check_tpm_quote(const TpmJsonQuote& quote, const crypto::VerifyingKey& key,
                     const Context& context, Appraisal& out);

}  // namespace tacit::attest
