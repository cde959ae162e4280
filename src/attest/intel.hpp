// Intel TDX and SGX quotes as evidence.
#pragma once

#include "attest/evidence.hpp"
#include "attest/intel_quote.hpp"

namespace tacit::attest {

// Every check on a parsed quote but what its report data is bound to, which the caller knows
// (check_report_data). `log` is the event log that came with the quote, or null.
void appraise_intel_quote(const IntelQuote& quote, const Context& context, Appraisal& out,
                          const EventLogPtr& log = {});
std::optional<Result<std::vector<EvidencePtr>>> find_intel_quote(const Document& document);

}  // namespace tacit::attest
