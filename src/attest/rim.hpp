// NVIDIA's reference integrity manifests: signed SWID tags (ISO 19770-2) that list the measurements
// a driver or a VBIOS must show.
#pragma once

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "attest/appraisal.hpp"
#include "attest/trust.hpp"
#include "attest/x509.hpp"

namespace tacit::attest {

struct RimMeasurement {
  unsigned index = 0;
  bool active = false;
  std::vector<Bytes> alternatives;
};

// Not yet verified: check_rim does that.
struct Rim {
  std::string id;       // tagId
  std::string edition;  // "GPU" or "SWITCH"
  std::string version;  // colloquial version
  std::string product;  // such as GH100
  bool named = true;    // given by name, and not found in a folder of many
  // A VBIOS and a BIOS have versions of five groups ("96.00.5E.00.01"), a driver of two or three.
  bool is_driver() const { return std::ranges::count(version, '.') != 4; }
  std::vector<RimMeasurement> measurements;
  std::vector<CertificatePtr> chain;  // leaf first
  Bytes document_digest;              // SHA-384 of the canonical document without its signature
  Bytes stated_digest;
  Bytes signed_info;  // canonical
  Bytes signature;
};

// Whether the bytes look like a SWID tag at all.
bool is_rim(BytesView bytes);
// Errors: malformed, unsupported (other algorithms than NVIDIA's), too_large.
Result<Rim> parse_rim(BytesView xml);
// Digest, signature, and the chain to NVIDIA's root of reference values at `now`. Adds what is
// wrong to `out`, under the rule "rim"; true when nothing is.
bool check_rim(const Rim& rim, UnixTime now, SignatureMemory& memory, Appraisal& out);

}  // namespace tacit::attest
