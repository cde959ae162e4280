#include "connect/evidence.hpp"

#include "core/text.hpp"
#include "seal/sealed.hpp"

namespace tacit::connect {
namespace {

constexpr std::size_t kTextBytesMax = 300;
constexpr std::size_t kReasonsMax = 8;

attest::Answer refused(const char* rule, std::string expected, std::string actual) {
  attest::Answer out;
  out.verdict = attest::Verdict::reject;
  out.reasons.push_back({attest::Verdict::reject, rule, std::move(expected), std::move(actual)});
  return out;
}

std::string cut(const std::string& text) {
  return text.size() <= kTextBytesMax ? text : text.substr(0, kTextBytesMax) + "...";
}

void put_reasons(std::string& out, std::size_t& count, const std::vector<attest::Reason>& reasons) {
  for (const auto& one : reasons) {
    if (count == kReasonsMax) return;
    out += count++ == 0 ? "" : "; ";
    out +=
        "rule \"" + one.rule + "\": expected " + cut(one.expected) + ", found " + cut(one.actual);
  }
}

}  // namespace

std::string_view evidence_kind(seal::Attester attester) noexcept {
  switch (attester) {
    case seal::Attester::tdx: return "tdx";
    case seal::Attester::snp: return "sev-snp";
    case seal::Attester::tpm: return "tpm";
    case seal::Attester::nitro: return "nitro";
    case seal::Attester::none: break;
  }
  return {};
}

attest::Answer appraise_evidence(const seal::Evidence& evidence, const seal::EvidenceNonce& nonce,
                                 const EvidenceRules& rules, attest::UnixTime now,
                                 attest::SignatureMemory& memory) {
  const auto kind = evidence_kind(evidence.statement.attester);
  if (kind.empty())
    return refused("hardware", "evidence of hardware that vouches for the server",
                   "none: its attester is none");
  const auto bundle = attest::parse_bundle(evidence.bundle);
  if (!bundle) return refused("format", "a well-formed evidence bundle", bundle.error().message());
  return attest::appraise_bundle(
      {*bundle, kind, nonce, evidence.statement_digest, rules.policy, now, rules.collateral},
      memory);
}

Result<void> check_nonce(BytesView document, const seal::EvidenceNonce& nonce) {
  TACIT_TRY(const auto said, seal::evidence_nonce(document));
  if (said == nonce) return {};
  return fail(refusal_of(refused("nonce", "evidence for " + to_hex(nonce),
                                 "evidence for " + to_hex(said) + ": a replay")));
}

Error refusal_of(const attest::Answer& answer) {
  std::string text;
  std::size_t count = 0;
  put_reasons(text, count, answer.reasons);
  for (const auto& piece : answer.pieces) put_reasons(text, count, piece.reasons());
  return Error{Code::forbidden, "the server's evidence is not accepted"}
      .about(PublicText{text})
      .fix(
          "Nothing was sent. `tacit verify evidence URL` shows all of it, and "
          "docs/guide/evidence.md explains each rule");
}

Async<Bytes> fetch_evidence(http::Client& client, std::string url, seal::EvidenceNonce nonce,
                            Deadline deadline) {
  const auto whole = url + "?nonce=" + to_hex(nonce);
  TACIT_CO_TRY(const auto response, co_await client.send("GET", whole, {}, {}, deadline));
  const auto type = response->head().headers.find("content-type").value_or("");
  const auto status = response->head().status;
  if (status == 503 || status == 429)
    co_return fail(Error{Code::unavailable, "the server has no evidence to show now"}
                       .with("status", status)
                       .about(PublicText{url})
                       .fix("Try again later; the server's log says why"));
  if (status != 200 || type != seal::kEvidenceMediaType) {
    co_return fail(Error{Code::unsupported, "the server offers no sealed channel"}
                       .about(PublicText{url})
                       .fix("Is this the address of a tacit server?"));
  }
  co_return co_await http::read_all(*response, seal::kEvidenceDocumentBytesMax, deadline);
}

}  // namespace tacit::connect
