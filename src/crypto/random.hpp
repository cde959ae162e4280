// Cryptographically secure random bytes. Thread-safe.
#pragma once

#include <cstdint>
#include <span>

#include "core/bytes.hpp"

namespace tacit::crypto {

// Fills `out`; ends the process if the system has no randomness to give (there is no safe way on).
void random_bytes(std::span<std::byte> out);
std::uint64_t random_u64();

}  // namespace tacit::crypto
