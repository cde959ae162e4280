// NVIDIA GPUs in confidential mode, through NVML (libnvidia-ml.so.1), which comes with the driver
// and is loaded when it is there.
#pragma once

#include <string>

#include "attester/attester.hpp"

namespace tacit::attester {

inline constexpr const char* kNvmlLibrary = "libnvidia-ml.so.1";

// Errors: not_found (no driver, no GPU, or none in confidential mode), unavailable.
Result<DeviceAttesterPtr> open_nvidia(const std::string& library = kNvmlLibrary);

}  // namespace tacit::attester
