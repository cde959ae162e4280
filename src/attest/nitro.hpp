// AWS Nitro Enclaves attestation documents: COSE_Sign1 (RFC 9052), ES384.
// https://github.com/aws/aws-nitro-enclaves-nsm-api, docs/attestation_process.md
#pragma once

#include <map>

#include "attest/evidence.hpp"

namespace tacit::attest {

struct NitroDocument {
  BytesView payload;    // signed, with the header that is always the same
  BytesView signature;  // r || s
  std::string module_id;
  std::uint64_t timestamp_ms = 0;
  std::map<unsigned, BytesView> pcrs;
  std::vector<BytesView> chain;            // DER, leaf first
  BytesView public_key, user_data, nonce;  // empty when absent
  std::size_t size = 0;                    // bytes of the COSE message
};

// `bytes` begins with the COSE message. Errors: malformed, unsupported.
Result<NitroDocument> parse_nitro(BytesView bytes);
std::optional<Result<std::vector<EvidencePtr>>> find_nitro(const Document& document);

}  // namespace tacit::attest
