// An answer for people and as JSON.
#include <array>

#include "attest/appraise.hpp"
#include "attest/json.hpp"

namespace tacit::attest {
namespace {

namespace json = boost::json;

json::array reasons_json(const std::vector<Reason>& reasons) {
  json::array out;
  for (const auto& one : reasons)
    out.push_back({{"verdict", verdict_name(one.verdict)},
                   {"rule", one.rule},
                   {"expected", one.expected},
                   {"actual", one.actual},
                   {"see", "docs/guide/evidence.md#rule-" + one.rule}});
  return out;
}

json::object piece_json(const Appraisal& piece) {
  json::array claims;
  for (const auto& one : piece.claims())
    claims.push_back(
        {{"name", one.name}, {"value", one.value}, {"source", source_name(one.source)}});
  json::array warnings;
  for (const auto& one : piece.warnings()) warnings.push_back({{"id", one.id}, {"text", one.text}});
  return {{"kind", piece.kind()},
          {"name", printable(piece.name())},
          {"verdict", verdict_name(piece.verdict())},
          {"reasons", reasons_json(piece.reasons())},
          {"claims", std::move(claims)},
          {"warnings", std::move(warnings)}};
}

void put_reasons(std::string& out, const std::vector<Reason>& reasons) {
  for (const auto& one : reasons) {
    out += one.verdict == Verdict::reject ? "  REFUSED by rule \"" : "  MISSING for rule \"";
    out += one.rule + "\"\n    expected: " + one.expected + "\n    found:    " + one.actual + "\n";
  }
}

void put_claims(std::string& out, const Appraisal& piece, Source source, std::string_view title) {
  bool first = true;
  for (const auto& claim : piece.claims()) {
    if (claim.source != source) continue;
    if (first) out += std::string{"  "}.append(title) + "\n";
    first = false;
    out += "    " + claim.name +
           std::string(claim.name.size() < 18 ? 18 - claim.name.size() : 1, ' ') + claim.value +
           "\n";
  }
}

constexpr std::string_view title_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::accept: return "ACCEPT: every check passed.";
    case Verdict::cannot_tell: return "CANNOT TELL: something needed is missing. Do not trust it.";
    case Verdict::reject: break;
  }
  return "REJECT: at least one check failed. Do not trust it.";
}

}  // namespace

std::string render_text(const Answer& answer) {
  std::string out{title_of(answer.verdict)};
  out += "\n";
  put_reasons(out, answer.reasons);
  for (const auto& piece : answer.pieces) {
    out += "\n" + piece.kind() + "  " + printable(piece.name()) + ": " +
           std::string{verdict_name(piece.verdict())} + "\n";
    put_reasons(out, piece.reasons());
    put_claims(out, piece, Source::hardware, "Proved by the hardware's signature:");
    put_claims(out, piece, Source::derived, "Derived by this verifier from signed statements:");
    put_claims(out, piece, Source::asserted, "Only asserted by the platform, proved by nobody:");
    if (!piece.warnings().empty()) out += "  Not settled by this evidence:\n";
    for (const auto& one : piece.warnings()) out += "    " + one.id + ": " + one.text + "\n";
  }
  if (!answer.passed_over.empty()) {
    out += "\nPassed over, of no known kind or malformed:\n";
    for (const auto& name : answer.passed_over) out += "  " + printable(name) + "\n";
  }
  out += "\nEach rule and warning is explained in docs/guide/evidence.md.\n";
  return out;
}

std::string render_json(const Answer& answer) {
  json::array pieces;
  for (const auto& piece : answer.pieces) pieces.emplace_back(piece_json(piece));
  json::array passed_over;
  for (const auto& name : answer.passed_over) passed_over.emplace_back(printable(name));
  const json::object document{{"verdict", verdict_name(answer.verdict)},
                              {"reasons", reasons_json(answer.reasons)},
                              {"evidence", std::move(pieces)},
                              {"passed_over", std::move(passed_over)}};
  return json::serialize(document) + "\n";
}

}  // namespace tacit::attest
