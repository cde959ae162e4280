// NVML as libnvidia-ml.so.1 offers it, as far as the attester asks: two GPUs in confidential mode,
// whose report is a mark and the nonce. Layouts: nvml.h of driver 535.
#include <cstring>

namespace {

struct Certificate {
  unsigned chain_size;
  unsigned attestation_chain_size;
  unsigned char chain[0x1000];
  unsigned char attestation_chain[0x1400];
};
struct Report {
  unsigned has_cec;
  unsigned size;
  unsigned cec_size;
  unsigned char nonce[0x20];
  unsigned char report[0x2000];
  unsigned char cec_report[0x1000];
};

char devices[2];

}  // namespace

extern "C" {

int nvmlInit_v2() { return 0; }
int nvmlShutdown() { return 0; }
int nvmlSystemGetConfComputeState(unsigned* state) {
  state[0] = 2;
  state[1] = 1;
  state[2] = 0;
  return 0;
}
int nvmlDeviceGetCount_v2(unsigned* count) {
  *count = 2;
  return 0;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void** device) {
  if (index >= 2) return 2;
  *device = &devices[index];
  return 0;
}
int nvmlDeviceGetArchitecture(void*, unsigned* architecture) {
  *architecture = 9;
  return 0;
}
int nvmlDeviceGetConfComputeGpuCertificate(void* device, Certificate* certificate) {
  certificate->attestation_chain_size = 5;
  std::memcpy(certificate->attestation_chain, device == &devices[0] ? "gpu 0" : "gpu 1", 5);
  return 0;
}
int nvmlDeviceGetConfComputeGpuAttestationReport(void*, Report* report) {
  report->size = 38;
  std::memcpy(report->report, "report", 6);
  std::memcpy(report->report + 6, report->nonce, 32);
  return 0;
}

}  // extern "C"
