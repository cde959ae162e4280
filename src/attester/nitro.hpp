// AWS Nitro enclaves: documents from the Nitro Secure Module, /dev/nsm (linux/nsm.h).
#pragma once

#include <filesystem>
#include <functional>

#include "attester/attester.hpp"

namespace tacit::attester {

// NsmCall sends one request (CBOR) to the module and returns its answer; open_nitro() makes one
// over the device, tests replay recorded answers.
using NsmCall = std::function<Result<Bytes>(BytesView request)>;

// Errors: not_found (no such device), permission, io.
Result<AttesterPtr> open_nitro(const std::filesystem::path& device = "/dev/nsm");
AttesterPtr make_nitro(NsmCall call);

// {"Attestation": {"user_data": null, "nonce": bytes, "public_key": null}}
Bytes nsm_request(const Digest32& nonce);
// The document inside of {"Attestation": {"document": bytes}}. Errors: malformed; unavailable for
// {"Error": ...}.
Result<Bytes> parse_nsm_answer(BytesView answer);

}  // namespace tacit::attester
