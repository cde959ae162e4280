// Wycheproof ML-KEM (all four kinds), X25519 and ECDH on P-256.
#include "crypto/sign.hpp"
#include "crypto/testing/kem_testing.hpp"
#include "wycheproof.hpp"

namespace tacit::vectors {
namespace {

using namespace crypto;  // a file about one module

bool equals(BytesView ours, const WycheproofTest& test, std::string_view name) {
  return std::ranges::equal(ours, bytes(test.json, name));
}

// Runs `one`, which says what is wrong with a valid test or throws no error for a refusal: accepted
// and wrong is a failure, whatever the verdict.
template <class One> void run_ml_kem(const File& file, Tally& tally, One one) {
  for_each_test(file, [&](const WycheproofTest& test) {
    const auto set = text(test.group, "parameterSet");
    if (set != "ML-KEM-768") return tally.skip(set + " not offered");
    const Result<std::string_view> wrong = one(test);
    if (wrong && !wrong->empty() && test.verdict == Verdict::valid) {
      return tally.fail(test.name, *wrong);
    }
    test.judge(wrong.has_value(), tally);
  });
}

void run_exchange(const File& file, Tally& tally) {
  run_ml_kem(file, tally, [](const WycheproofTest& test) -> Result<std::string_view> {
    TACIT_TRY(const auto key, KemPrivateKey::parse(KemId::ml_kem_768, bytes(test.json, "seed")));
    TACIT_TRY(const auto secret, key.decapsulate(bytes(test.json, "c")));
    if (has(test.json, "ek") && !equals(key.public_bytes(), test, "ek")) return "ek";
    return equals(secret.reveal(), test, "K") ? "" : "K";
  });
}

void run_encaps(const File& file, Tally& tally) {
  run_ml_kem(file, tally, [](const WycheproofTest& test) -> Result<std::string_view> {
    TACIT_TRY(const auto key, KemPublicKey::parse(KemId::ml_kem_768, bytes(test.json, "ek")));
    TACIT_TRY(const auto made, testing::encapsulate_from(key, bytes(test.json, "m")));
    if (!equals(made.enc, test, "c")) return "c";
    return equals(made.shared_secret.reveal(), test, "K") ? "" : "K";
  });
}

void run_keygen(const File& file, Tally& tally) {
  run_ml_kem(file, tally, [](const WycheproofTest& test) -> Result<std::string_view> {
    const auto seed = bytes(test.json, "seed");
    TACIT_TRY(const auto key, KemPrivateKey::parse(KemId::ml_kem_768, seed));
    if (!equals(key.public_bytes(), test, "ek")) return "ek";
    if (!has(test.json, "dk")) return "";
    TACIT_TRY(const auto expanded, testing::ml_kem_expanded_key(seed));
    return equals(expanded, test, "dk") ? "" : "dk";
  });
}

void run_decaps(const File& file, Tally& tally) {
  run_ml_kem(file, tally, [](const WycheproofTest& test) -> Result<std::string_view> {
    TACIT_TRY(const auto secret,
              testing::ml_kem_decapsulate_expanded(bytes(test.json, "dk"), bytes(test.json, "c")));
    return !has(test.json, "K") || equals(secret.reveal(), test, "K") ? "" : "K";
  });
}

void run_x25519(const File& file, Tally& tally) {
  for_each_test(file, [&](const WycheproofTest& test) {
    if (text(test.group, "curve") != "curve25519") {
      return tally.skip(text(test.group, "curve") + " not offered");
    }
    const auto secret = testing::x25519(bytes(test.json, "private"), bytes(test.json, "public"));
    const auto expected = bytes(test.json, "shared");
    const bool zero = std::ranges::all_of(expected, [](std::byte b) { return b == std::byte{0}; });
    if (zero) return tally.check(!secret, test.name, "an all-zero secret was accepted");
    if (!secret) return test.judge(false, tally);
    tally.check(test.verdict != Verdict::invalid && std::ranges::equal(secret->reveal(), expected),
                test.name, "other bytes");
  });
}

// A big-endian number, brought to the size of a P-256 scalar.
Bytes scalar(Bytes number) {
  while (number.size() > 32 && number.front() == std::byte{0}) number.erase(number.begin());
  while (number.size() < 32) number.insert(number.begin(), std::byte{0});
  return number;
}

void run_ecdh(const File& file, Tally& tally) {
  for_each_test(file, [&](const WycheproofTest& test) {
    if (text(test.group, "curve") != "secp256r1") {
      return tally.skip("curves other than P-256 not offered");
    }
    auto point = bytes(test.json, "public");
    if (text_or(test.group, "encoding", "asn") == "asn") {
      const auto key = VerifyingKey::parse_spki(point);
      point = key ? Bytes{key->raw().begin(), key->raw().end()} : Bytes{};
    }
    const auto secret = testing::ecdh_p256(scalar(bytes(test.json, "private")), point);
    if (!secret && test.has_flag("CompressedPoint") && test.verdict != Verdict::invalid) {
      return tally.skip("compressed points are refused");
    }
    if (!secret || test.verdict == Verdict::invalid) {
      return test.judge(secret.has_value(), tally);
    }
    tally.check(std::ranges::equal(secret->reveal(), bytes(test.json, "shared")), test.name,
                "other bytes");
  });
}

bool is_exchange(const File& file) { return is_wycheproof(file, "MLKEMTest", "ML-KEM"); }
bool is_encaps(const File& file) { return is_wycheproof(file, "MLKEMEncapsTest", "ML-KEM"); }
bool is_keygen(const File& file) { return is_wycheproof(file, "MLKEMKeyGen", "ML-KEM"); }
bool is_decaps(const File& file) {
  return is_wycheproof(file, "MLKEMDecapsValidationTest", "ML-KEM");
}
bool is_x25519(const File& file) { return is_wycheproof(file, "XdhComp", "XDH"); }
bool is_ecdh(const File& file) {
  return is_wycheproof(file, "EcdhTest", "ECDH") || is_wycheproof(file, "EcdhEcpointTest", "ECDH");
}

}  // namespace

Kinds wycheproof_kem_kinds() {
  return {{"Wycheproof ML-KEM exchange", is_exchange, run_exchange},
          {"Wycheproof ML-KEM encapsulation", is_encaps, run_encaps},
          {"Wycheproof ML-KEM key generation", is_keygen, run_keygen},
          {"Wycheproof ML-KEM decapsulation", is_decaps, run_decaps},
          {"Wycheproof XDH", is_x25519, run_x25519},
          {"Wycheproof ECDH", is_ecdh, run_ecdh}};
}

}  // namespace tacit::vectors
