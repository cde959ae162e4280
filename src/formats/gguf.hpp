// GGUF header and metadata reader (ggml docs/gguf.md, versions 2 and 3, little-endian): our own,
// bounded, and strict, because it decides whether a file may be handed to the engine worker.
//
// Every count and length is checked against the bytes that are really there before it is believed;
// memory use is bounded by the bytes given, not by what they claim. Functions are pure (read_gguf
// apart) and thread-safe.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/bytes.hpp"
#include "core/error.hpp"

namespace tacit::formats {

struct GgufLimits {
  std::uint64_t header_bytes_max = 256ull * 1024 * 1024;
  std::uint64_t metadata_pairs_max = 100'000;
  std::uint64_t tensors_max = 100'000;
  std::uint64_t key_bytes_max = 65'535;
  std::uint64_t string_bytes_max = 16ull * 1024 * 1024;
  std::uint64_t array_elements_max = 16'000'000;
  unsigned array_depth_max = 4;
};

struct GgufArray {
  std::uint32_t element_type = 0;
  std::uint64_t count = 0;
  // Scalars and strings of short arrays (<= 4096) are kept as text for display; longer ones, and
  // those after the first 65,536 elements or 1 MiB of text in all, are only counted, so that a
  // vocabulary costs no memory.
  std::vector<std::string> preview;
};
using GgufValue = std::variant<std::uint64_t, std::int64_t, double, bool, std::string, GgufArray>;

struct GgufTensor {
  std::string name;                       // 1 to 63 bytes, no NUL; foreign text all the same
  std::vector<std::uint64_t> dimensions;  // 1 to 4, each >= 1
  std::uint32_t type = 0;                 // ggml type id
  std::uint64_t offset = 0;               // from the start of the data section
  std::uint64_t size_bytes = 0;           // computed from type and dimensions
};

// GgufFile is a validated header. Invariants: names unique; offsets aligned; every tensor lies
// within the file; tensors do not overlap; sizes computed without overflow.
struct GgufFile {
  std::uint32_t version = 0;
  std::uint64_t alignment = 32;
  std::map<std::string, GgufValue, std::less<>> metadata;
  std::vector<GgufTensor> tensors;
  std::uint64_t header_bytes = 0;  // what was read: magic to the last tensor's description
  std::uint64_t data_offset = 0;   // where the data section starts, or file_bytes without one
  std::uint64_t file_bytes = 0;

  // The value under `key` when it is text; when it is a whole number that is not negative.
  std::optional<std::string> text(std::string_view key) const;
  std::optional<std::uint64_t> number(std::string_view key) const;
  std::string architecture() const;                     // general.architecture, "" when absent
  std::optional<std::uint64_t> context_length() const;  // <arch>.context_length
  std::optional<std::string> chat_template() const;     // tokenizer.chat_template
};

// parse_gguf reads the header from the first bytes of a file that is `file_bytes` long in all.
// `head` may be the whole file or a prefix that holds the whole header. Errors: malformed (says
// what: "not a GGUF file", "tensor data runs past the end of the file"...; with offsets as numbers,
// and the tensor's or key's name made printable), unsupported (version, big-endian, tensor type),
// too_large (a limit), invalid_argument (`head` is longer than the file), and Code::unavailable
// "header continues" when `head` is too short but may be right so far.
Result<GgufFile> parse_gguf(BytesView head, std::uint64_t file_bytes,
                            const GgufLimits& limits = {});

// read_gguf reads and parses an open regular file; only as much of it as the header needs. The
// file's offset is left alone. Errors: as parse_gguf, and io.
Result<GgufFile> read_gguf(int fd, const GgufLimits& limits = {});

}  // namespace tacit::formats
