// NVIDIA's reference integrity manifests: signed SWID tags (ISO 19770-2) that list the measurements
// a driver or a VBIOS must show.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "attest/x509.hpp"

namespace tacit::attest {

struct RimMeasurement {
  unsigned index = 0;
  bool active = false;
  std::vector<Bytes> alternatives;
};

// Not yet verified; see rim_problem.
struct Rim {
  std::string id;       // tagId, such as NV_GPU_VBIOS_1010_0200_882_96005E0001
  std::string name;     // softwareName
  std::string version;  // colloquial version
  std::string product;
  std::vector<RimMeasurement> measurements;
  std::vector<CertificatePtr> chain;  // leaf first
  Bytes document_digest;              // SHA-384 of the canonical document without its signature
  Bytes stated_digest;
  Bytes signed_info;  // canonical
  Bytes signature;
};

// Whether the bytes look like a SWID tag at all.
bool is_rim(BytesView bytes);
Result<Rim> parse_rim(BytesView xml);

}  // namespace tacit::attest
