#include "crypto/ossl.hpp"

#include <openssl/err.h>
#include <unistd.h>

#include <cstdlib>

namespace tacit::crypto {
namespace {

// What empty views point to.
constexpr unsigned char kNothing = 0;

template <class T> T* fetched(T* algorithm) {
  must(algorithm != nullptr, "fetching an algorithm");
  return algorithm;
}

const EVP_MD* fetch_md(const char* name) { return fetched(EVP_MD_fetch(nullptr, name, nullptr)); }
const EVP_CIPHER* fetch_cipher(const char* name) {
  return fetched(EVP_CIPHER_fetch(nullptr, name, nullptr));
}

}  // namespace

void must(bool ok, Literal call) noexcept {
  if (ok) return;
  constexpr std::string_view prefix = "tacit: OpenSSL failed in ";
  // Best effort: the process ends either way.
  if (::write(STDERR_FILENO, prefix.data(), prefix.size()) > 0 &&
      ::write(STDERR_FILENO, call.text.data(), call.text.size()) > 0) {
    static_cast<void>(!::write(STDERR_FILENO, "\n", 1));
  }
  std::abort();
}

void forget_errors() noexcept { ERR_clear_error(); }

const Algorithms& algorithms() {
  static const Algorithms all{
      .sha1 = fetch_md("SHA1"),
      .sha256 = fetch_md("SHA2-256"),
      .sha384 = fetch_md("SHA2-384"),
      .sha512 = fetch_md("SHA2-512"),
      .sha3_256 = fetch_md("SHA3-256"),
      .sha3_512 = fetch_md("SHA3-512"),
      .shake128 = fetch_md("SHAKE-128"),
      .shake256 = fetch_md("SHAKE-256"),
      .hmac = fetched(EVP_MAC_fetch(nullptr, "HMAC", nullptr)),
      .aes_128_gcm = fetch_cipher("AES-128-GCM"),
      .aes_256_gcm = fetch_cipher("AES-256-GCM"),
      .chacha20_poly1305 = fetch_cipher("ChaCha20-Poly1305"),
  };
  return all;
}

const unsigned char* ossl_data(BytesView bytes) noexcept {
  return bytes.empty() ? &kNothing : reinterpret_cast<const unsigned char*>(bytes.data());
}

unsigned char* ossl_data(std::span<std::byte> bytes) noexcept {
  return reinterpret_cast<unsigned char*>(bytes.data());
}

}  // namespace tacit::crypto
