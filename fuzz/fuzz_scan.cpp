// Whatever the bytes: a file called clean has no findings and the others have some; an accepted
// safetensors file fills its data exactly.
#include "formats/safetensors.hpp"
#include "formats/scan.hpp"
#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tacit::formats;
  const tacit::BytesView bytes{reinterpret_cast<const std::byte*>(data), size};
  const auto report = scan_bytes(bytes, "input");
  FUZZ_CHECK((report.verdict == ScanVerdict::clean) == report.findings.empty());
  for (const auto& finding : report.findings) {
    for (const char c : finding.subject) FUZZ_CHECK(c >= ' ' && c <= '~');
  }
  if (const auto file = parse_safetensors(bytes, size)) {
    std::uint64_t at = 0;
    for (const auto& tensor : file->tensors) {
      FUZZ_CHECK(tensor.begin == at && tensor.end >= at);
      at = tensor.end;
    }
    FUZZ_CHECK(file->header_bytes + at == size);
  }
  return 0;
}
