#include "attest/appraisal.hpp"

#include <algorithm>

#include "core/text.hpp"

namespace tacit::attest {

std::string_view verdict_name(Verdict verdict) noexcept {
  switch (verdict) {
    case Verdict::accept: return "accept";
    case Verdict::cannot_tell: return "cannot tell";
    case Verdict::reject: break;
  }
  return "reject";
}

std::string_view source_name(Source source) noexcept {
  switch (source) {
    case Source::hardware: return "hardware";
    case Source::derived: return "derived";
    case Source::asserted: break;
  }
  return "asserted";
}

void Appraisal::reject(Literal rule, std::string expected, std::string actual) {
  reasons_.push_back(
      {Verdict::reject, std::string{rule.text}, std::move(expected), std::move(actual)});
}
void Appraisal::cannot_tell(Literal rule, std::string expected, std::string actual) {
  reasons_.push_back(
      {Verdict::cannot_tell, std::string{rule.text}, std::move(expected), std::move(actual)});
}
void Appraisal::reject(Literal rule, std::string expected, const Error& error) {
  reject(rule, std::move(expected), error.message());
}
void Appraisal::claim(std::string name, std::string value, Source source) {
  claims_.push_back({std::move(name), std::move(value), source});
}
void Appraisal::claim(std::string name, BytesView value, Source source) {
  claim(std::move(name), to_hex(value), source);
}
void Appraisal::warn(Literal id, Literal text) {
  warnings_.push_back({std::string{id.text}, std::string{text.text}});
}

Verdict Appraisal::verdict() const noexcept {
  if (rejected()) return Verdict::reject;
  return complete_ && reasons_.empty() ? Verdict::accept : Verdict::cannot_tell;
}

bool Appraisal::rejected() const noexcept {
  return std::ranges::any_of(reasons_,
                             [](const Reason& r) { return r.verdict == Verdict::reject; });
}

std::string_view Appraisal::claim_value(std::string_view name) const {
  const auto at = std::ranges::find(claims_, name, &Claim::name);
  return at == claims_.end() ? std::string_view{} : std::string_view{at->value};
}

}  // namespace tacit::attest
