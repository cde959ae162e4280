// From files to one verdict: recognises evidence and collateral by content, appraises each piece,
// and judges them together.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "attest/appraisal.hpp"
#include "attest/evidence.hpp"
#include "attest/policy.hpp"

namespace tacit::attest {

// Input is one file. `listed` is false for files that were found in a folder: those that are of no
// known kind are passed over, where a file that was named must be of one.
struct Input {
  std::string name;
  Bytes bytes;
  bool listed = true;
  // What this piece must be bound to, in place of the question's nonce and report data.
  std::optional<Bytes> nonce = {};
};

struct Question {
  std::span<const Input> evidence;  // may hold collateral, too
  std::span<const Input> collateral;
  Policy policy;
  UnixTime now;
  std::optional<Bytes> nonce;
  std::optional<Bytes> report_data;
  // The caller checks the policy's rules about the endpoint itself (bundle.hpp). Bare evidence says
  // nothing about them: such a policy refuses it.
  bool endpoint_checked = false;
};

struct Answer {
  Verdict verdict = Verdict::cannot_tell;
  std::vector<Reason> reasons;  // about all pieces together
  std::vector<Appraisal> pieces;
  std::vector<std::string> passed_over;  // names of files of no known kind
};

// Pure: the same question has the same answer. Not for content of more than a few megabytes: each
// file has a limit of 2 MiB (kEvidenceBytesMax).
Answer appraise(const Question& question);
// The same with a memory of checked signatures that outlives the call.
Answer appraise(const Question& question, SignatureMemory& memory);

// Verifier keeps what many appraisals share: collateral, read once, and which of its signatures and
// of the certificates it met have verified. Times are judged anew for each question: nothing that
// has expired is believed because it was once in force. Not thread-safe; make one per thread.
class Verifier {
 public:
  // What cannot be read of `collateral` is said in every answer.
  explicit Verifier(std::span<const Input> collateral = {});
  ~Verifier();
  Verifier(Verifier&&) noexcept;
  Verifier& operator=(Verifier&&) noexcept;
  // As the function above; question.collateral is used in addition, for this question only.
  Answer appraise(const Question& question);
  // Forgets the certificates of machines, but not the collateral.
  void forget_machines();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

std::string render_text(const Answer& answer);
std::string render_json(const Answer& answer);

}  // namespace tacit::attest
