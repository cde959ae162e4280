// NVIDIA GPUs and NVSwitches as evidence.
#pragma once

#include "attest/evidence.hpp"
#include "attest/nvidia_report.hpp"

namespace tacit::attest {

// Raw or hexadecimal reports, whose certificates are then looked for in the collateral, and the
// JSON of NVIDIA's tools: objects with "evidence" and "certificate" in base64, or lists of them.
std::optional<Result<std::vector<EvidencePtr>>> find_nvidia(const Document& document);

}  // namespace tacit::attest
