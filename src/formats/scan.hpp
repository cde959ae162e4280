// Is this file safe to hand to whatever loads models? It is only read, never executed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.hpp"
#include "core/error.hpp"

namespace tacit::formats {

enum class ScanVerdict : std::uint8_t {
  clean,        // understood, and nothing in it does anything
  dangerous,    // loading it would run code, read files, or more; or it is built to deceive
  cannot_tell,  // not understood, or too large to be looked at as a whole
};
std::string_view verdict_name(ScanVerdict verdict) noexcept;

struct ScanFinding {
  Literal what;
  std::string subject;  // printable; where and what
};

struct ScanReport {
  ScanVerdict verdict = ScanVerdict::cannot_tell;
  std::string kind;  // "GGUF", "safetensors", "pickle", "zip", "NumPy array", "chat template"...
  std::vector<ScanFinding> findings;
};

// scan_bytes judges by content, never by name (`name` is for findings). Pickles, NumPy arrays, zip
// archives of these (PyTorch), GGUF, safetensors, and JSON with chat templates are understood.
ScanReport scan_bytes(BytesView bytes, std::string_view name = "");

inline constexpr std::uint64_t kScanBytesMax = 1024ull * 1024 * 1024;

// scan_file reads a file of at most kScanBytesMax whole; of a larger one only GGUF and safetensors
// are judged, by their headers. Errors: not_found, permission, io.
Result<ScanReport> scan_file(const std::string& path);

}  // namespace tacit::formats
