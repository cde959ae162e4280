#include "attester/nvidia.hpp"

#include <algorithm>
#include <mutex>

#include "attester/library.hpp"
#include "attester/nvml.hpp"
#include "core/text.hpp"

namespace tacit::attester {
namespace {

constexpr unsigned kGpusMax = 32;

struct Nvml {
  Library library;
  int (*init)();
  int (*shut_down)();
  int (*state)(NvmlSystemState*);
  int (*count)(unsigned*);
  int (*by_index)(unsigned, NvmlDevice**);
  int (*architecture)(NvmlDevice*, unsigned*);
  int (*certificate)(NvmlDevice*, NvmlCertificate*);
  int (*report)(NvmlDevice*, NvmlReport*);

  bool complete() {
    return library.find("nvmlInit_v2", init) && library.find("nvmlShutdown", shut_down) &&
           library.find("nvmlSystemGetConfComputeState", state) &&
           library.find("nvmlDeviceGetCount_v2", count) &&
           library.find("nvmlDeviceGetHandleByIndex_v2", by_index) &&
           library.find("nvmlDeviceGetArchitecture", architecture) &&
           library.find("nvmlDeviceGetConfComputeGpuCertificate", certificate) &&
           library.find("nvmlDeviceGetConfComputeGpuAttestationReport", report);
  }
};

std::string_view architecture_name(unsigned number) {
  switch (number) {
    case 9: return "HOPPER";
    case 10: return "BLACKWELL";
    default: return "UNKNOWN";
  }
}

class NvidiaAttester final : public DeviceAttester {
 public:
  NvidiaAttester(Nvml nvml, unsigned num_gpus) : nvml_{std::move(nvml)}, num_gpus_{num_gpus} {}
  ~NvidiaAttester() override { nvml_.shut_down(); }
  NvidiaAttester(const NvidiaAttester&) = delete;
  NvidiaAttester& operator=(const NvidiaAttester&) = delete;

  Result<std::vector<Bytes>> attest(const Digest32& nonce) override {
    const std::scoped_lock lock{mutex_};
    std::vector<Bytes> out;
    for (unsigned i = 0; i < num_gpus_; ++i) {
      TACIT_TRY(auto one, ask(i, nonce));
      out.push_back(std::move(one));
    }
    return out;
  }

 private:
  static std::unexpected<Error> no_answer(Literal what, unsigned index, int code) {
    return fail(Error{Code::unavailable, what}.with("gpu", index).with("nvml", code));
  }
  // In the form of NVIDIA's own tools: {"arch", "certificate", "evidence", "nonce"}.
  Result<Bytes> ask(unsigned index, const Digest32& nonce) {
    NvmlDevice* device = nullptr;
    unsigned number = 0;
    if (const int code = nvml_.by_index(index, &device); code != 0)
      return no_answer("a GPU is gone", index, code);
    if (const int code = nvml_.architecture(device, &number); code != 0)
      return no_answer("a GPU does not say what it is", index, code);
    auto certificate = std::make_unique<NvmlCertificate>();
    if (const int code = nvml_.certificate(device, certificate.get()); code != 0)
      return no_answer("a GPU gives no certificate", index, code);
    auto report = std::make_unique<NvmlReport>();
    std::ranges::transform(nonce, report->nonce,
                           [](std::byte b) { return std::to_integer<unsigned char>(b); });
    if (const int code = nvml_.report(device, report.get()); code != 0)
      return no_answer("a GPU gives no attestation report", index, code);
    if (report->size > sizeof report->report ||
        certificate->attestation_chain_size > sizeof certificate->attestation_chain)
      return fail(Code::malformed, "sizes in a GPU's attestation report");
    const auto view = [](const unsigned char* data, unsigned size) {
      return BytesView{reinterpret_cast<const std::byte*>(data), size};
    };
    const auto json =
        R"({"arch":")" + std::string{architecture_name(number)} + R"(","certificate":")" +
        to_base64(view(certificate->attestation_chain, certificate->attestation_chain_size)) +
        R"(","evidence":")" + to_base64(view(report->report, report->size)) + R"(","nonce":")" +
        to_hex(nonce) + R"("})";
    const auto bytes = as_bytes(json);
    return Bytes{bytes.begin(), bytes.end()};
  }

  Nvml nvml_;
  const unsigned num_gpus_;
  std::mutex mutex_;
};

}  // namespace

Result<DeviceAttesterPtr> open_nvidia(const std::string& library) {
  Nvml nvml{};
  TACIT_TRY(nvml.library, Library::open(library));
  if (!nvml.complete())
    return fail(Error{Code::not_found, "the NVIDIA driver is too old to attest"}.fix(
        "Install driver 535 or later"));
  if (const int code = nvml.init(); code != 0)
    return fail(Error{Code::not_found, "the NVIDIA driver does not answer"}.with("nvml", code));
  NvmlSystemState state{};
  unsigned num_gpus = 0;
  const bool confidential = nvml.state(&state) == 0 && state.feature != 0;
  if (!confidential || nvml.count(&num_gpus) != 0 || num_gpus == 0) {
    nvml.shut_down();
    return fail(Code::not_found, "no NVIDIA GPU in confidential mode");
  }
  if (num_gpus > kGpusMax) {
    nvml.shut_down();
    return fail(Error{Code::too_large, "number of GPUs"}.with("limit", kGpusMax));
  }
  return std::make_unique<NvidiaAttester>(std::move(nvml), num_gpus);
}

}  // namespace tacit::attester
