// safetensors header reader: bounded, strict. A JSON object of tensors behind a 64-bit length; see
// the format's README. Every length is checked against the bytes that are really there.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "core/bytes.hpp"
#include "core/error.hpp"

namespace tacit::formats {

inline constexpr std::uint64_t kSafetensorsHeaderBytesMax = 100ull * 1024 * 1024;

struct SafetensorsTensor {
  std::string name;   // foreign text
  std::string dtype;  // "BF16"
  std::vector<std::uint64_t> shape;
  std::uint64_t begin = 0;  // within the data, which starts behind the header
  std::uint64_t end = 0;
};

// Invariants of an accepted file: names unique; each tensor as long as its shape and type say; the
// tensors follow each other from the data's first byte to the file's last, without hole or overlap.
struct SafetensorsFile {
  std::vector<SafetensorsTensor> tensors;  // by place
  std::map<std::string, std::string> metadata;
  std::uint64_t header_bytes = 0;  // with the eight of its length
};

// parse_safetensors reads the header at the start of a file that is `file_bytes` long in all.
// Errors: malformed, unsupported (type), too_large, and Code::unavailable "header continues" when
// `head` is too short but may be right so far.
Result<SafetensorsFile> parse_safetensors(BytesView head, std::uint64_t file_bytes);

}  // namespace tacit::formats
