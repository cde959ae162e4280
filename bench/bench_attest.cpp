// What an appraisal costs, in CPU time of one core, beside the signature checks that it cannot do
// without.
//
//   ./dev bench attest     needs the folder of fixtures (TACIT_FIXTURES)
//
// "warm" is a Verifier that has read the collateral and seen the machine before: the checks left
// are those of the evidence itself. "new machine" has the collateral, but forgets the machine: its
// certificate is checked, too. "cold" reads and checks everything, collateral included. The bound
// beside each is the sum of the signature checks that it cannot do without, measured in the same
// run.
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>

#include "attest/appraise.hpp"
#include "attest/roots.hpp"
#include "bench_table.hpp"
#include "crypto/sign.hpp"

namespace {

using namespace tacit::attest;  // a program of one file
using tacit::bench::Row;

std::vector<Input> read_inputs(const std::vector<std::string>& names) {
  const char* given = std::getenv("TACIT_FIXTURES");
  const std::filesystem::path folder = given != nullptr ? given : "../shared/fixtures";
  std::vector<Input> out;
  for (const auto& name : names) {
    std::ifstream in{folder / name, std::ios::binary};
    const std::string text{std::istreambuf_iterator<char>{in}, {}};
    const auto bytes = tacit::as_bytes(text);
    out.push_back({name, {bytes.begin(), bytes.end()}});
  }
  return out;
}

// Of this thread: what other processes take of the core is not ours.
double thread_us() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

double median_us(const std::function<void()>& work) {
  std::vector<double> all;
  for (int i = 0; i < 200; ++i) {
    const auto begun = thread_us();
    work();
    all.push_back(thread_us() - begun);
  }
  return tacit::bench::percentile(all, 0.5);
}

double check_us(tacit::crypto::KeyKind kind, tacit::crypto::SignatureScheme scheme) {
  const auto key = *tacit::crypto::SigningKey::generate(kind);
  const tacit::Bytes message(672);
  const auto signature = *key.sign(scheme, message);
  return median_us([&] {
    if (!key.verifying_key().verify(scheme, message, signature)) std::abort();
  });
}

struct Case {
  const char* name;
  std::vector<std::string> evidence;
  std::vector<std::string> collateral;
  const char* at;
  double warm, new_machine, cold;  // bounds, in microseconds
  Verdict verdict = Verdict::accept;
};

void measure(const Case& one, std::vector<Row>& rows) {
  const auto pieces = read_inputs(one.evidence);
  const auto known = read_inputs(one.collateral);
  const Question warm{pieces, {}, {}, parse_time(one.at).value(), {}, {}};
  const Question cold{pieces, known, {}, warm.now, {}, {}};
  Verifier verifier{known};
  if (verifier.appraise(warm).verdict != one.verdict) {
    std::printf("SKIPPED: %s: fixtures not found, set TACIT_FIXTURES\n", one.name);
    return;
  }
  const std::string name{one.name};
  rows.push_back({name + ".warm", median_us([&] { verifier.appraise(warm); }), "us", one.warm});
  rows.push_back({name + ".new_machine", median_us([&] {
                    verifier.forget_machines();
                    verifier.appraise(warm);
                  }),
                  "us", one.new_machine});
  rows.push_back({name + ".cold", median_us([&] { appraise(cold); }), "us", one.cold});
}

}  // namespace

int main() {
  using tacit::crypto::KeyKind;
  using tacit::crypto::SignatureScheme;
  std::vector<Row> rows;
  const auto p256 = check_us(KeyKind::ecdsa_p256, SignatureScheme::ecdsa_sha256_raw);
  const auto p384 = check_us(KeyKind::ecdsa_p384, SignatureScheme::ecdsa_sha384_raw);
  const auto& ark = *root_certificate(RootId::amd_ark_milan);
  const auto rsa = median_us([&] {
    if (!ark.key->verify(ark.scheme, ark.tbs, ark.signature)) std::abort();
  });
  rows.push_back({"p256.verify", p256, "us", 0});
  rows.push_back({"p384.verify", p384, "us", 0});
  rows.push_back({"rsa4096.verify", rsa, "us", 0});
  // TDX: the quoting enclave's report and the quote; the PCK certificate of a new machine; cold:
  // the Platform CA, the TCB signer, TCB info, QE identity and two revocation lists.
  measure({"tdx_v5",
           {"intel-tdx/quotes/tdx_v5_uptodate_2026.dat"},
           {"intel-tdx/collateral/dcap-2026-02-fmspc-90c06f.json"},
           "2026-03-01T00:00:00Z",
           2 * p256,
           3 * p256,
           7 * p256},
          rows);
  // SNP: the report; the VCEK of a new machine. Cold is the same: AMD's intermediates are built in.
  measure({"snp_v2",
           {"amd-sev-snp/milan_v2_vcek/report.bin"},
           {"amd-sev-snp/milan_v2_vcek/vcek.der"},
           "2025-06-01T00:00:00Z",
           p384,
           p384 + rsa,
           p384 + rsa},
          rows);
  // Twelve reports; their chains have 12 * 2 certificates of their own and 2 * 2 shared ones. No
  // RIMs are known for them, so that the verdict is "cannot tell" after all of these checks.
  measure({"gpu8_switch4",
           {"nvidia/evidence/hopper_x8_590.12.json", "nvidia/evidence/switch_ls10_x4.json"},
           {},
           "2026-11-01T00:00:00Z",
           12 * p384,
           (12 + 12) * p384,
           (12 + 24 + 3) * p384,
           Verdict::cannot_tell},
          rows);
  std::printf("%s, %s\n", tacit::bench::cpu_model().c_str(), TACIT_BENCH_BUILD);
  for (const auto& row : rows) {
    std::printf("%-24s %9.1f %s", row.name.c_str(), row.value, row.unit.c_str());
    if (row.limit > 0) std::printf("   bound %.1f, ratio %.2f", row.limit, row.value / row.limit);
    std::printf("\n");
  }
  return 0;
}
