// What an appraisal costs on one core beside the signature checks that it cannot do without.
//
//   ./dev bench attest     needs the folder of fixtures (TACIT_FIXTURES)
//
// "warm" keeps the memory of checked signatures (certificates, lists, statements); "cold" forgets
// it for every call. Both read the collateral from its bytes each time. The bound is three P-256
// checks for a TDX quote, and one P-384 and one RSA-4096 check for an SNP report, measured in the
// same run.
#include <chrono>
#include <cstdio>
#include <cstdlib>
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

double median_us(const std::function<void()>& work) {
  std::vector<double> all;
  for (int i = 0; i < 200; ++i) {
    const auto begun = std::chrono::steady_clock::now();
    work();
    all.push_back(
        std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begun)
            .count());
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

void measure(const char* name, const std::vector<std::string>& evidence,
             const std::vector<std::string>& collateral, const char* at, double bound,
             std::vector<Row>& rows) {
  const auto pieces = read_inputs(evidence);
  const auto known = read_inputs(collateral);
  const Question question{pieces, known, {}, parse_time(at).value(), {}, {}};
  SignatureMemory memory;
  if (appraise(question, memory).verdict != Verdict::accept) {
    std::printf("SKIPPED: %s: fixtures not found, set TACIT_FIXTURES\n", name);
    return;
  }
  rows.push_back(
      {std::string{name} + ".warm", median_us([&] { appraise(question, memory); }), "us", bound});
  rows.push_back({std::string{name} + ".cold", median_us([&] { appraise(question); }), "us", 0});
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
  measure("tdx_v5", {"intel-tdx/quotes/tdx_v5_uptodate_2026.dat"},
          {"intel-tdx/collateral/dcap-2026-02-fmspc-90c06f.json"}, "2026-03-01T00:00:00Z", 3 * p256,
          rows);
  measure("snp_v2", {"amd-sev-snp/milan_v2_vcek/report.bin"},
          {"amd-sev-snp/milan_v2_vcek/vcek.der"}, "2025-06-01T00:00:00Z", p384 + rsa, rows);
  std::printf("%s, %s\n", tacit::bench::cpu_model().c_str(), TACIT_BENCH_BUILD);
  for (const auto& row : rows) {
    std::printf("%-16s %9.1f %s", row.name.c_str(), row.value, row.unit.c_str());
    if (row.limit > 0) std::printf("   bound %.1f, ratio %.2f", row.limit, row.value / row.limit);
    std::printf("\n");
  }
  return 0;
}
