// What a client thinks of a server's evidence: the hardware behind the channel, by a policy.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "async/async.hpp"
#include "attest/bundle.hpp"
#include "core/time.hpp"
#include "http/client.hpp"
#include "seal/statement.hpp"

namespace tacit::connect {

// The kind of evidence, as attest names it, that an attester stands for; empty for none.
std::string_view evidence_kind(seal::Attester attester) noexcept;

// EvidenceRules is what a client asks of a server's hardware.
struct EvidenceRules {
  attest::Policy policy;
  bool required = false;                  // whether a server without hardware evidence is refused
  std::vector<attest::Input> collateral;  // beside what the server brings
  Seconds age_max{3600};                  // evidence is asked for anew before it is older
};

// Judges opened evidence as of `now`; certificates that `memory` has seen are not checked again.
// Evidence of attester none is refused by rule "hardware".
attest::Answer appraise_evidence(const seal::Evidence& evidence, const seal::EvidenceNonce& nonce,
                                 const EvidenceRules& rules, attest::UnixTime now,
                                 attest::SignatureMemory& memory);

// The document must answer the question that was asked; else a refusal by rule "nonce". Errors:
// forbidden, malformed.
Result<void> check_nonce(BytesView document, const seal::EvidenceNonce& nonce);

// The refusal in one error: the rules, with what was expected and what was found.
// Precondition: answer.verdict is not accept.
Error refusal_of(const attest::Answer& answer);

// The evidence document at `url` (whole, but for the query) for `nonce`, unread. Errors:
// unsupported (no sealed channel there), unavailable (the server has no evidence to show now),
// too_large; as http::Client.
Async<Bytes> fetch_evidence(http::Client& client, std::string url, seal::EvidenceNonce nonce,
                            Deadline deadline);

}  // namespace tacit::connect
