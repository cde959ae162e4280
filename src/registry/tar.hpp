// Headers of tar archives (POSIX ustar, with GNU's base-256 sizes): regular files only. Sans-I/O.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/bytes.hpp"
#include "core/error.hpp"

namespace tacit::registry {

inline constexpr std::size_t kTarBlockBytes = 512;
using TarBlock = std::array<std::byte, kTarBlockBytes>;

struct TarEntry {
  std::string name;  // foreign text
  std::uint64_t size_bytes = 0;
};

// What follows the file's bytes up to the next header.
constexpr std::uint64_t tar_padding(std::uint64_t size_bytes) noexcept {
  return (kTarBlockBytes - size_bytes % kTarBlockBytes) % kTarBlockBytes;
}

// The header of a regular file; the same input always gives the same bytes. `name` has 1 to 99
// bytes.
TarBlock tar_header(std::string_view name, std::uint64_t size_bytes);

// Errors: malformed (checksum, numbers, no ustar), unsupported (not a regular file).
Result<TarEntry> parse_tar_header(BytesView block);

}  // namespace tacit::registry
