// Files of the kernel: their size is unknown before they are read, and each write is one call.
// Private to this module.
#pragma once

#include <filesystem>

#include "core/bytes.hpp"
#include "core/error.hpp"

namespace tacit::attester {

// Errors: not_found, permission, too_large, unavailable (busy: ask again), io.
Result<Bytes> read_kernel_file(const std::filesystem::path& path, std::size_t size_max);
Result<void> write_kernel_file(const std::filesystem::path& path, BytesView bytes);
// Empty where there is no such file, or it may not be read: event logs are an extra.
Bytes read_if_there(const std::filesystem::path& path, std::size_t size_max);

}  // namespace tacit::attester
