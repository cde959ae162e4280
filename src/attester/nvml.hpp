// The part of NVML's ABI that is used here, as nvml.h of drivers from 535 on declares it. Private
// to this module and to the library that stands in for NVML in its tests.
#pragma once

namespace tacit::attester {

struct NvmlDevice;

struct NvmlCertificate {  // nvmlConfComputeGpuCertificate_t
  unsigned chain_size;
  unsigned attestation_chain_size;
  unsigned char chain[0x1000];
  unsigned char attestation_chain[0x1400];  // PEM, the device's certificate first
};

struct NvmlReport {  // nvmlConfComputeGpuAttestationReport_t
  unsigned has_cec;
  unsigned size;
  unsigned cec_size;
  unsigned char nonce[32];
  unsigned char report[0x2000];  // the SPDM request and its answer
  unsigned char cec_report[0x1000];
};

struct NvmlSystemState {  // nvmlConfComputeSystemState_t
  unsigned environment;
  unsigned feature;  // 1: confidential computing is on
  unsigned developer_tools;
};

}  // namespace tacit::attester
