// What hardware proved about a server, in a few lines for people.
#pragma once

#include <string>

#include "attest/appraise.hpp"

namespace tacit::cli {

// Lines that begin with "Hardware     "; the last has no line feed.
std::string evidence_report(const attest::Answer& answer, const std::string& policy);

}  // namespace tacit::cli
