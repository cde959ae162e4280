// Wycheproof HkdfTest and MacTest: HKDF and HMAC with SHA-2.
#include "crypto/hkdf.hpp"
#include "wycheproof.hpp"

namespace tacit::vectors {
namespace {

using namespace crypto;  // a file about one module

std::optional<HashId> hash_of(std::string_view algorithm) {
  if (algorithm == "HKDF-SHA-256" || algorithm == "HMACSHA256") return HashId::sha256;
  if (algorithm == "HKDF-SHA-384" || algorithm == "HMACSHA384") return HashId::sha384;
  if (algorithm == "HKDF-SHA-512" || algorithm == "HMACSHA512") return HashId::sha512;
  return std::nullopt;
}

void run_hkdf(const File& file, Tally& tally) {
  const auto hash = hash_of(algorithm_of(file));
  for_each_test(file, [&](const WycheproofTest& test) {
    if (!hash) return tally.skip(algorithm_of(file) + " not offered");
    Hkdf hkdf{*hash};
    Bytes prk(hkdf.prk_bytes());
    hkdf.extract(bytes(test.json, "salt"), {bytes(test.json, "ikm")}, prk);
    Bytes out(number(test.json, "size"));
    const bool accepted = hkdf.expand(prk, {bytes(test.json, "info")}, out).has_value();
    if (!accepted || test.verdict == Verdict::invalid) return test.judge(accepted, tally);
    tally.check(out == bytes(test.json, "okm"), test.name, "other bytes");
  });
}

void run_hmac(const File& file, Tally& tally) {
  const auto hash = hash_of(algorithm_of(file));
  for_each_test(file, [&](const WycheproofTest& test) {
    if (!hash) return tally.skip(algorithm_of(file) + " not offered");
    Bytes mac(digest_bytes(*hash));
    Hmac{*hash}.compute(bytes(test.json, "key"), {bytes(test.json, "msg")}, mac);
    const auto tag = bytes(test.json, "tag");
    const bool same = tag.size() == number(test.group, "tagSize") / 8 && tag.size() <= mac.size() &&
                      constant_time_equal(BytesView{mac}.first(tag.size()), tag);
    test.judge(same, tally);
  });
}

bool is_hkdf(const File& file) { return is_wycheproof(file, "HkdfTest", "HKDF-"); }
bool is_hmac(const File& file) { return is_wycheproof(file, "MacTest", "HMACSHA"); }

}  // namespace

Kinds wycheproof_kdf_kinds() {
  return {{"Wycheproof HKDF", is_hkdf, run_hkdf}, {"Wycheproof HMAC", is_hmac, run_hmac}};
}

}  // namespace tacit::vectors
