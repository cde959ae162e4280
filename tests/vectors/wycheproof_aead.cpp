// Wycheproof AeadTest: AES-GCM and ChaCha20-Poly1305.
#include "crypto/aead.hpp"
#include "wycheproof.hpp"

namespace tacit::vectors {
namespace {

using namespace crypto;  // a file about one module

std::optional<AeadId> aead_of(bool aes, std::size_t key_bytes) {
  if (!aes) return AeadId::chacha20_poly1305;
  if (key_bytes == 16) return AeadId::aes_128_gcm;
  if (key_bytes == 32) return AeadId::aes_256_gcm;
  return std::nullopt;
}

void run_test(const WycheproofTest& test, bool aes, Tally& tally) {
  const auto key = bytes(test.json, "key");
  const auto nonce_bytes = bytes(test.json, "iv");
  const auto tag = bytes(test.json, "tag");
  const auto id = aead_of(aes, key.size());
  if (!id) return tally.skip("AES-192 not offered");
  if (nonce_bytes.size() != kAeadNonceBytes || tag.size() != kAeadTagBytes) {
    // Our interface cannot even say it; what is invalid is thereby refused.
    if (test.verdict == Verdict::invalid) return tally.pass();
    return tally.skip("nonces other than 12 bytes and tags other than 16 not offered");
  }
  AeadNonce nonce{};
  std::ranges::copy(nonce_bytes, nonce.begin());
  const auto aad = bytes(test.json, "aad");
  const auto message = bytes(test.json, "msg");
  auto sealed = bytes(test.json, "ct");
  sealed.insert(sealed.end(), tag.begin(), tag.end());

  auto aead = Aead::make(*id, key);
  if (!aead) return test.judge(false, tally);
  Bytes opened(sealed.size() - kAeadTagBytes, std::byte{0xff});
  const bool accepted = aead->open(nonce, aad, sealed, opened).has_value();
  if (accepted != (test.verdict == Verdict::valid)) return test.judge(accepted, tally);
  if (!accepted) {
    const bool blank = std::ranges::all_of(opened, [](std::byte b) { return b == std::byte{0}; });
    return tally.check(blank, test.name, "plaintext of a refused message");
  }
  Bytes ours(message.size() + kAeadTagBytes);
  const bool made = aead->seal(nonce, aad, message, ours).has_value();
  tally.check(opened == message && made && ours == sealed, test.name, "other bytes");
}

template <bool kAes> void run(const File& file, Tally& tally) {
  for_each_test(file, [&](const WycheproofTest& test) { run_test(test, kAes, tally); });
}

bool is_aes_gcm(const File& file) {
  return is_wycheproof(file, "AeadTest", "AES-GCM") && algorithm_of(file) == "AES-GCM";
}
bool is_chacha(const File& file) { return is_wycheproof(file, "AeadTest", "CHACHA20-POLY1305"); }

}  // namespace

Kinds wycheproof_aead_kinds() {
  return {{"Wycheproof AES-GCM", is_aes_gcm, run<true>},
          {"Wycheproof ChaCha20-Poly1305", is_chacha, run<false>}};
}

}  // namespace tacit::vectors
