// NVIDIA GPU and switch attestation reports: an SPDM 1.1 GET_MEASUREMENTS request and its response
// (DMTF DSP0274), with NVIDIA's opaque data. Views point into the bytes that were parsed.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "core/bytes.hpp"
#include "core/error.hpp"

namespace tacit::attest {

struct NvidiaReport {
  BytesView signed_part;
  BytesView signature;                         // r || s
  BytesView nonce;                             // of the request
  std::map<unsigned, BytesView> measurements;  // by SPDM index, from 1
  std::map<unsigned, BytesView> opaque;        // by NVIDIA's type number

  bool is_gpu() const { return !driver_version().empty(); }
  std::string driver_version() const;  // empty for switches
  std::string vbios_version() const;   // "96.00.5E.00.01"
  // Whether measurement 35 (NVDEC) counts: not while that engine is disabled.
  bool counts_nvdec() const;
};

inline constexpr unsigned kNvdecRimIndex = 35;

bool is_nvidia_report(BytesView bytes) noexcept;
// Errors: malformed, unsupported.
Result<NvidiaReport> parse_nvidia_report(BytesView bytes);

}  // namespace tacit::attest
