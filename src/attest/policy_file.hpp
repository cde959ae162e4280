// Policies as TOML files.
#pragma once

#include <string_view>

#include "attest/policy.hpp"
#include "core/error.hpp"

namespace tacit::attest {

inline constexpr std::size_t kPolicyBytesMax = 256 * 1024;

// Reads a policy (docs/guide/evidence.md), which is ASCII. Keys that are not known are an error: a
// rule that is misspelt must not be a rule that is not there. Errors: malformed, too_large.
Result<Policy> parse_policy(std::string_view toml);

}  // namespace tacit::attest
