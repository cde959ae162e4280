// NVML as libnvidia-ml.so.1 offers it, as far as the attester asks: two GPUs in confidential mode,
// whose report is a mark and the nonce; or, after fake_nvml_replay(), one GPU with a recorded
// report. Layouts: nvml.h of driver 535.
#include <cstring>
#include <fstream>
#include <string>

#include "attester/nvml.hpp"

namespace {

using tacit::attester::NvmlCertificate;
using tacit::attester::NvmlDevice;
using tacit::attester::NvmlReport;
using tacit::attester::NvmlSystemState;

char devices[2];

std::string report_file;
std::string chain_file;

bool is_recorded() { return !report_file.empty(); }

unsigned read_into(const std::string& file, unsigned char* out, unsigned size) {
  std::ifstream in{file, std::ios::binary};
  in.read(reinterpret_cast<char*>(out), size);
  return static_cast<unsigned>(in.gcount());
}

}  // namespace

extern "C" {

// From now on answers with what these files hold; empty names end it.
void fake_nvml_replay(const char* report, const char* chain) {
  report_file = report;
  chain_file = chain;
}

int nvmlInit_v2() { return 0; }
int nvmlShutdown() { return 0; }
int nvmlSystemGetConfComputeState(NvmlSystemState* state) {
  *state = {2, 1, 0};
  return 0;
}
int nvmlDeviceGetCount_v2(unsigned* count) {
  *count = is_recorded() ? 1 : 2;
  return 0;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, NvmlDevice** device) {
  if (index >= 2) return 2;
  *device = reinterpret_cast<NvmlDevice*>(&devices[index]);
  return 0;
}
int nvmlDeviceGetArchitecture(NvmlDevice*, unsigned* architecture) {
  *architecture = 9;
  return 0;
}
int nvmlDeviceGetConfComputeGpuCertificate(NvmlDevice* device, NvmlCertificate* certificate) {
  if (is_recorded()) {
    certificate->attestation_chain_size = read_into(chain_file, certificate->attestation_chain,
                                                    sizeof certificate->attestation_chain);
    return 0;
  }
  certificate->attestation_chain_size = 5;
  std::memcpy(certificate->attestation_chain,
              device == reinterpret_cast<NvmlDevice*>(&devices[0]) ? "gpu 0" : "gpu 1", 5);
  return 0;
}
int nvmlDeviceGetConfComputeGpuAttestationReport(NvmlDevice*, NvmlReport* report) {
  if (is_recorded()) {
    report->size = read_into(report_file, report->report, sizeof report->report);
    return 0;
  }
  report->size = 38;
  std::memcpy(report->report, "report", 6);
  std::memcpy(report->report + 6, report->nonce, 32);
  return 0;
}

}  // extern "C"
