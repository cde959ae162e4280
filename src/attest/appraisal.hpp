// What an appraisal says: a verdict, the reasons for it, claims with their sources, and warnings.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.hpp"
#include "core/error.hpp"

namespace tacit::attest {

// cannot_tell means that something needed is missing, such as collateral. It is never an accept.
enum class Verdict : std::uint8_t { accept, cannot_tell, reject };
std::string_view verdict_name(Verdict verdict) noexcept;

// Reason says why evidence was not accepted: which rule, what it asks, what was found.
struct Reason {
  Verdict verdict = Verdict::reject;
  std::string rule;
  std::string expected;
  std::string actual;
};

// Source is who stands behind a claim.
enum class Source : std::uint8_t {
  hardware,  // signed by a key that chains to the vendor's root
  derived,   // computed here from signed values
  asserted,  // the platform says so; nothing proves it
};
std::string_view source_name(Source source) noexcept;

struct Claim {
  std::string name;
  std::string value;
  Source source = Source::asserted;
};

// Warning is something that a verified answer does not settle. `id` names its explanation in
// docs/guide/evidence.md.
struct Warning {
  std::string id;
  std::string text;
};

// Appraisal collects the outcome for one piece of evidence. It starts as "cannot tell" and becomes
// "accept" only when its verifier says that every check has run and none of them objected: a check
// that was forgotten, or a verifier that returned early, cannot accept.
class Appraisal {
 public:
  explicit Appraisal(std::string kind, std::string name)
      : kind_{std::move(kind)}, name_{std::move(name)} {}

  void reject(Literal rule, std::string expected, std::string actual);
  void cannot_tell(Literal rule, std::string expected, std::string actual);
  // The error of a parser as a rejection: "well-formed X" against what was wrong.
  void reject(Literal rule, std::string expected, const Error& error);
  void claim(std::string name, std::string value, Source source);
  void claim(std::string name, BytesView value, Source source);
  void warn(Literal id, Literal text);
  // Every check ran. Only the last line of a verifier calls it.
  void complete() { complete_ = true; }

  Verdict verdict() const noexcept;
  const std::string& kind() const noexcept { return kind_; }
  const std::string& name() const noexcept { return name_; }
  const std::vector<Reason>& reasons() const noexcept { return reasons_; }
  const std::vector<Claim>& claims() const noexcept { return claims_; }
  const std::vector<Warning>& warnings() const noexcept { return warnings_; }
  // The value of the first claim of that name; empty when there is none.
  std::string_view claim_value(std::string_view name) const;
  // Whether any reason so far is a rejection.
  bool rejected() const noexcept;

 private:
  std::string kind_;
  std::string name_;
  std::vector<Reason> reasons_;
  std::vector<Claim> claims_;
  std::vector<Warning> warnings_;
  bool complete_ = false;
};

}  // namespace tacit::attest
