// Checks that several formats share. Private to this module.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "attest/evidence.hpp"

namespace tacit::attest {

// A measured value by the name that policies use.
using NamedViews = std::vector<std::pair<std::string_view, BytesView>>;

// Every list of accepted values in `wanted` must contain the value of that name; a name that this
// kind does not have is a rejection, too, because a rule that cannot be checked must not pass.
// `code_names` are those that pin the code: when none of them is listed, adds the reason or the
// warning about code that may be any.
void check_values(const std::vector<NamedValues>& wanted, const NamedViews& found,
                  std::span<const std::string_view> code_names, const Context& context,
                  Appraisal& out);

// The report data must be what the relying party expects. Without an expectation: a reason when the
// policy asks for one, else a warning.
void check_report_data(BytesView report_data, const Context& context, Appraisal& out);
// The same for formats with a nonce field of their own. `report_data`, if given, is compared too
// when the format has such a field; a rejection when it has none.
void check_nonce(BytesView nonce, const Context& context, Appraisal& out,
                 std::optional<UnixTime> made = {});
// `made` is when the evidence says, under its signature, that it was made.
void check_freshness_asked(const Context& context, Appraisal& out,
                           std::optional<UnixTime> made = {});
// No value of `found` may be one that the policy denies.
void check_denied(const std::vector<NamedValues>& denied, const NamedViews& found, Appraisal& out);

bool all_zero(BytesView bytes) noexcept;
bool equal(BytesView a, BytesView b) noexcept;
// (value & mask) == (wanted & mask); false when sizes differ.
bool equal_masked(BytesView value, BytesView wanted, BytesView mask) noexcept;

}  // namespace tacit::attest
