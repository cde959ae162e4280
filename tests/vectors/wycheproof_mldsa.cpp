// Wycheproof ML-DSA: verifying, and signing from a seed or an expanded private key.
#include "crypto/testing/sign_testing.hpp"
#include "wycheproof.hpp"

namespace tacit::vectors {
namespace {

using namespace crypto;  // a file about one module
using boost::json::object;

std::optional<KeyKind> kind_of(const File& file) {
  const auto algorithm = algorithm_of(file);
  if (algorithm == "ML-DSA-44") return KeyKind::ml_dsa_44;
  if (algorithm == "ML-DSA-65") return KeyKind::ml_dsa_65;
  return std::nullopt;
}

void run_verify(const File& file, Tally& tally) {
  const auto kind = kind_of(file);
  for_each_test(file, [&](const WycheproofTest& test) {
    if (!kind) return tally.skip(algorithm_of(file) + " not offered");
    if (!has(test.json, "msg")) return tally.skip("verifying a representative not offered");
    const auto key = VerifyingKey::parse_raw(*kind, bytes(test.group, "publicKey"));
    test.judge(key && key->verify(SignatureScheme::ml_dsa, bytes(test.json, "msg"),
                                  bytes(test.json, "sig"), bytes_or_none(test.json, "ctx")),
               tally);
  });
}

Result<SigningKey> private_key(KeyKind kind, const object& group) {
  if (has(group, "privateSeed")) return SigningKey::from_seed(kind, bytes(group, "privateSeed"));
  return testing::ml_dsa_from_expanded(kind, bytes(group, "privateKey"));
}

void run_sign_test(const WycheproofTest& test, KeyKind kind, Tally& tally) {
  const auto key = private_key(kind, test.group);
  if (!key) return test.judge(false, tally);
  const auto& verifying = key->verifying_key();
  if (has(test.group, "publicKey") && test.group.at("publicKey").is_string() &&
      !std::ranges::equal(verifying.raw(), bytes(test.group, "publicKey"))) {
    return tally.fail(test.name, "publicKey");
  }
  const bool by_mu = !has(test.json, "msg");
  const auto message = bytes(test.json, by_mu ? "mu" : "msg");
  const auto context = bytes_or_none(test.json, "ctx");
  if (test.has_flag("Randomized")) {
    if (by_mu) return tally.skip("verifying a representative not offered");
    return test.judge(
        verifying.verify(SignatureScheme::ml_dsa, message, bytes(test.json, "sig"), context)
            .has_value(),
        tally);
  }
  const auto ours = testing::ml_dsa_sign_deterministic(*key, message, context, by_mu);
  if (!ours || test.verdict == Verdict::invalid) return test.judge(ours.has_value(), tally);
  tally.check(*ours == bytes(test.json, "sig"), test.name, "other bytes");
}

void run_sign(const File& file, Tally& tally) {
  const auto kind = kind_of(file);
  for_each_test(file, [&](const WycheproofTest& test) {
    if (!kind) return tally.skip(algorithm_of(file) + " not offered");
    run_sign_test(test, *kind, tally);
  });
}

bool is_verify(const File& file) { return is_wycheproof(file, "MlDsaVerify", "ML-DSA"); }
bool is_sign(const File& file) { return is_wycheproof(file, "MlDsaSign", "ML-DSA"); }

}  // namespace

Kinds wycheproof_mldsa_kinds() {
  return {{"Wycheproof ML-DSA verifying", is_verify, run_verify},
          {"Wycheproof ML-DSA signing", is_sign, run_sign}};
}

}  // namespace tacit::vectors
