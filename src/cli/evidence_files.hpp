// Policies, evidence and collateral by the names that people type.
#pragma once

#include <string>
#include <vector>

#include "attest/appraise.hpp"

namespace tacit::cli {

// A file, or every file below a folder, in the order of their names. Errors: those of reading,
// too_large (more than 512 files).
Result<void> add_evidence_path(const std::string& name, std::vector<attest::Input>& out);

// default, strict, development, or a TOML file. Errors: invalid_argument (no such policy),
// malformed, io.
Result<attest::Policy> read_policy(const std::string& name);

}  // namespace tacit::cli
