// Wycheproof signatures with classical keys: Ed25519, ECDSA and RSA.
#include "crypto/sign.hpp"
#include "wycheproof.hpp"

namespace tacit::vectors {
namespace {

using namespace crypto;  // a file about one module
using boost::json::object;
using enum SignatureScheme;

// What a group asks for, or why it is skipped.
struct Group {
  std::optional<SignatureScheme> scheme;
  std::string not_offered;
};

template <class KeyOf, class GroupOf>
void run(const File& file, Tally& tally, KeyOf key_of, GroupOf group_of) {
  for_each_test(file, [&](const WycheproofTest& test) {
    const Group group = group_of(test.group);
    if (!group.scheme) return tally.skip(group.not_offered + " not offered");
    const Result<VerifyingKey> key = key_of(test.group);
    if (!key && key.error().code() == Code::unsupported) {
      return tally.skip("keys of this algorithm or size not offered");
    }
    const bool accepted =
        key && key->verify(*group.scheme, bytes(test.json, "msg"), bytes(test.json, "sig"));
    test.judge(accepted, tally);
  });
}

// Files of different years call the key "publicKey" or "key", and its DER likewise.
const object& key_object(const object& group) {
  return group.at(has(group, "publicKey") ? "publicKey" : "key").as_object();
}
Bytes key_der(const object& group) {
  return bytes(group, has(group, "publicKeyDer") ? "publicKeyDer" : "keyDer");
}
Result<VerifyingKey> spki_key(const object& group) {
  return VerifyingKey::parse_spki(key_der(group));
}

void run_ed25519(const File& file, Tally& tally) {
  run(
      file, tally,
      [](const object& group) {
        return VerifyingKey::parse_raw(KeyKind::ed25519, bytes(key_object(group), "pk"));
      },
      [](const object& group) -> Group {
        const auto curve = text(key_object(group), "curve");
        if (curve == "edwards25519") return {ed25519, {}};
        return {std::nullopt, curve};
      });
}

Group ecdsa_group(const object& group, bool raw) {
  const auto curve = text(key_object(group), "curve");
  if (curve != "secp256r1" && curve != "secp384r1") return {std::nullopt, curve};
  const auto hash = text(group, "sha");
  if (hash == "SHA-256") return {raw ? ecdsa_sha256_raw : ecdsa_sha256_der, {}};
  if (hash == "SHA-384") return {raw ? ecdsa_sha384_raw : ecdsa_sha384_der, {}};
  if (hash == "SHA-512") return {raw ? ecdsa_sha512_raw : ecdsa_sha512_der, {}};
  return {std::nullopt, "ECDSA with " + hash};
}

template <bool kRaw> void run_ecdsa(const File& file, Tally& tally) {
  run(file, tally, spki_key, [](const object& group) { return ecdsa_group(group, kRaw); });
}

// PSS keys may come with their own algorithm identifier; the numbers are the same.
Result<VerifyingKey> rsa_key(const object& group) {
  if (has(group, "publicKey") && group.at("publicKey").is_object()) {
    const auto& key = group.at("publicKey").get_object();
    return VerifyingKey::from_rsa(bytes(key, "modulus"), bytes(key, "publicExponent"));
  }
  if (has_all(group, {"n", "e"})) {
    return VerifyingKey::from_rsa(bytes(group, "n"), bytes(group, "e"));
  }
  return spki_key(group);
}

void run_pss(const File& file, Tally& tally) {
  run(file, tally, rsa_key, [](const object& group) -> Group {
    const auto hash = text(group, "sha");
    const auto salt = number(group, "sLen");
    if (text_or(group, "mgfSha", hash) == hash) {
      if (hash == "SHA-256" && salt == 32) return {rsa_pss_sha256, {}};
      if (hash == "SHA-384" && salt == 48) return {rsa_pss_sha384, {}};
      if (hash == "SHA-512" && salt == 64) return {rsa_pss_sha512, {}};
    }
    return {std::nullopt, "PSS with another hash, mask or salt size"};
  });
}

void run_pkcs1(const File& file, Tally& tally) {
  run(file, tally, rsa_key, [](const object& group) -> Group {
    const auto hash = text(group, "sha");
    if (hash == "SHA-256") return {rsa_pkcs1_sha256, {}};
    if (hash == "SHA-384") return {rsa_pkcs1_sha384, {}};
    if (hash == "SHA-512") return {rsa_pkcs1_sha512, {}};
    return {std::nullopt, "RSA with " + hash};
  });
}

bool is_eddsa(const File& file) {
  return is_wycheproof(file, "EddsaVerify", "EDDSA") || is_wycheproof(file, "EDDSAVer", "EDDSA");
}
bool is_ecdsa_der(const File& file) { return is_wycheproof(file, "EcdsaVerify", "ECDSA"); }
bool is_ecdsa_raw(const File& file) { return is_wycheproof(file, "EcdsaP1363Verify", "ECDSA"); }
bool is_pss(const File& file) {
  return is_wycheproof(file, "RsassaPssVerify", "RSASSA-PSS") ||
         is_wycheproof(file, "RsassaPssWithParametersVerify", "RSASSA-PSS");
}
bool is_pkcs1(const File& file) {
  return is_wycheproof(file, "RsassaPkcs1Verify", "RSASSA-PKCS1") ||
         is_wycheproof(file, "RsassaPkcs1Generate", "RSASSA-PKCS1");
}

}  // namespace

Kinds wycheproof_sign_kinds() {
  return {{"Wycheproof EdDSA", is_eddsa, run_ed25519},
          {"Wycheproof ECDSA (DER)", is_ecdsa_der, run_ecdsa<false>},
          {"Wycheproof ECDSA (raw)", is_ecdsa_raw, run_ecdsa<true>},
          {"Wycheproof RSA-PSS", is_pss, run_pss},
          {"Wycheproof RSA PKCS#1", is_pkcs1, run_pkcs1}};
}

}  // namespace tacit::vectors
