// errno as an Error. Private to this module.
#pragma once

#include <filesystem>

#include "core/error.hpp"

namespace tacit::store {

// os_error classifies `number` (an errno) and names the file. The text is `what` unless the reason
// has a better one: permission, read-only file system, disk full, too many open files.
Error os_error(int number, Literal what, const std::filesystem::path& path);

// no_space_error says how many bytes are needed and how many are free where `path` is.
Error no_space_error(std::uint64_t need, std::uint64_t have, const std::filesystem::path& path);

// free_bytes is what an unprivileged process may still write where `path` is; 0 when unknown.
std::uint64_t free_bytes(const std::filesystem::path& path) noexcept;

}  // namespace tacit::store
