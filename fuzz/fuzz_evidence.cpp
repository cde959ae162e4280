// Any file, as evidence and as collateral, judged as the command line does: nothing that a fuzzer
// can invent is accepted, because nobody but the vendors can sign it, and every answer can be
// printed. Seeds are real evidence; alone, without its collateral, none of it is accepted either.
#include "attest/appraise.hpp"
#include "attest/policy_file.hpp"
#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tacit::attest;  // a program of one file
  const tacit::BytesView bytes{reinterpret_cast<const std::byte*>(data), size};
  static SignatureMemory memory;
  const std::vector<Input> files{{"file", {bytes.begin(), bytes.end()}}};
  Question question{files, files, {}, UnixTime{std::chrono::seconds{1'750'000'000}}, {}, {}};
  question.policy.snp.require_crl = true;  // a report and its key in one file are not enough
  question.policy.require_nonce = true;    // a Nitro document brings all its certificates
  const auto answer = appraise(question, memory);
  FUZZ_CHECK(answer.verdict != Verdict::accept);
  FUZZ_CHECK(!render_text(answer).empty());
  FUZZ_CHECK(!render_json(answer).empty());
  (void)parse_policy(tacit::as_text(bytes));
  return 0;
}
