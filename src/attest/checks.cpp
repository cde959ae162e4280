#include "attest/checks.hpp"

#include <algorithm>

#include "core/secret.hpp"
#include "core/text.hpp"

namespace tacit::attest {
namespace {

std::string list_of(const AcceptedValues& values) {
  std::string out;
  for (const auto& value : values) {
    if (!out.empty()) out += " or ";
    if (out.size() > 400) return out + "...";
    out += to_hex(value);
  }
  return out;
}

}  // namespace

bool all_zero(BytesView bytes) noexcept {
  return std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; });
}

bool equal(BytesView a, BytesView b) noexcept { return std::ranges::equal(a, b); }

bool equal_masked(BytesView value, BytesView wanted, BytesView mask) noexcept {
  if (value.size() != wanted.size() || value.size() != mask.size()) return false;
  for (std::size_t i = 0; i < value.size(); ++i)
    if ((value[i] & mask[i]) != (wanted[i] & mask[i])) return false;
  return true;
}

void check_values(const std::vector<NamedValues>& wanted, const NamedViews& found,
                  std::span<const std::string_view> code_names, const Context& context,
                  Appraisal& out) {
  bool code_pinned = false;
  for (const auto& rule : wanted) {
    const auto at =
        std::ranges::find(found, std::string_view{rule.name}, &NamedViews::value_type::first);
    if (at == found.end()) {
      out.reject("values", rule.name + " is " + list_of(rule.accepted),
                 "this evidence has no " + rule.name);
      continue;
    }
    if (std::ranges::find(code_names, std::string_view{rule.name}) != code_names.end())
      code_pinned = true;
    const bool good = std::ranges::any_of(
        rule.accepted, [&](const Bytes& value) { return equal(value, at->second); });
    if (!good)
      out.reject("values", rule.name + " is " + list_of(rule.accepted),
                 rule.name + " is " + to_hex(at->second));
  }
  if (code_pinned) return;
  if (context.policy.require_measurements)
    out.cannot_tell("measurements", "a policy that lists accepted measurements of the code",
                    "the policy lists none for this kind");
  else
    out.warn(
        "code-not-pinned",
        "The policy accepts any code: the hardware is genuine, but what runs there is not known "
        "to be what you expect.");
}

void check_denied(const std::vector<NamedValues>& denied, const NamedViews& found, Appraisal& out) {
  for (const auto& rule : denied) {
    const auto at =
        std::ranges::find(found, std::string_view{rule.name}, &NamedViews::value_type::first);
    if (at == found.end())
      out.reject("denied", rule.name + " other than " + list_of(rule.accepted),
                 "this evidence has no " + rule.name);
    else if (std::ranges::any_of(rule.accepted,
                                 [&](const Bytes& value) { return equal(value, at->second); }))
      out.reject("denied", rule.name + " other than " + list_of(rule.accepted), to_hex(at->second));
  }
}

namespace {

// A challenge of one's own makes evidence young enough; without it, only a signed time can.
void check_age(const Context& context, std::optional<UnixTime> made, Appraisal& out) {
  const auto& limit = context.policy.evidence_age_max_s;
  if (!limit) return;
  const auto wanted = "evidence of at most " + std::to_string(*limit) + " seconds";
  if (made) {
    const auto age = (context.now - *made).count();
    if (age > static_cast<std::int64_t>(*limit))
      out.reject("evidence-age", wanted, std::to_string(age) + " seconds");
  } else if (!context.nonce && !context.report_data) {
    out.cannot_tell("evidence-age", wanted, "it has no time, and no nonce was given");
  }
}

}  // namespace

void check_freshness_asked(const Context& context, Appraisal& out, std::optional<UnixTime> made) {
  check_age(context, made, out);
  if (context.nonce || context.report_data) return;
  if (context.policy.require_nonce)
    out.cannot_tell("freshness", "a nonce or report data to compare with", "none was given");
  else
    out.warn("freshness-unknown",
             "Nothing was given to compare with: this evidence may be old, or somebody else's.");
}

void check_report_data(BytesView report_data, const Context& context, Appraisal& out) {
  check_freshness_asked(context, out);
  const auto matches = [&](const Bytes& wanted) {
    return wanted.size() <= report_data.size() && !wanted.empty() &&
           constant_time_equal(report_data.first(wanted.size()), wanted) &&
           all_zero(report_data.subspan(wanted.size()));
  };
  if (context.report_data && !matches(*context.report_data))
    out.reject("report-data", to_hex(*context.report_data) + " (zero-padded)", to_hex(report_data));
  if (context.nonce && !matches(*context.nonce))
    out.reject("nonce", to_hex(*context.nonce) + " (zero-padded)", to_hex(report_data));
}

void check_nonce(BytesView nonce, const Context& context, Appraisal& out,
                 std::optional<UnixTime> made) {
  check_freshness_asked(context, out, made);
  if (context.nonce && (context.nonce->empty() || !constant_time_equal(*context.nonce, nonce)))
    out.reject("nonce", to_hex(*context.nonce), nonce.empty() ? "none" : to_hex(nonce));
}

}  // namespace tacit::attest
