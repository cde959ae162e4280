// Evidence bundles, answers of Nitro's module and tables of SEV-SNP certificates: what is parsed
// comes back the same when it is written, and nothing of a stranger's is ever accepted.
#include <algorithm>
#include <cstdlib>

#include "attest/bundle.hpp"
#include "attester/nitro.hpp"
#include "attester/tsm.hpp"

using namespace tacit;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const BytesView input{reinterpret_cast<const std::byte*>(data), size};
  if (const auto bundle = attest::parse_bundle(input)) {
    if (!std::ranges::equal(attest::encode_bundle(*bundle), input)) std::abort();
    const attest::Digest32 any{};
    const attest::Policy policy;
    const attest::UnixTime now{Seconds{1'750'000'000}};
    for (const auto* kind : {"tdx", "sev-snp", "tpm", "nitro"})
      if (attest::appraise_bundle({*bundle, kind, any, any, policy, now}).verdict ==
          attest::Verdict::accept)
        std::abort();
  }
  if (const auto document = attester::parse_nsm_answer(input))
    if (document->size() >= size) std::abort();
  if (const auto all = attester::parse_snp_certificates(input))
    for (const auto& one : *all)
      if (one.empty() || one.size() > size) std::abort();
  return 0;
}
