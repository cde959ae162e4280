// What this module shares about OpenSSL: how calls that cannot fail are treated, and the algorithms
// fetched once. Private.
#pragma once

#include <openssl/evp.h>

#include <memory>
#include <span>

#include "core/bytes.hpp"
#include "core/error.hpp"

namespace tacit::crypto {

// must ends the process when `ok` is false, naming the call: out of memory or a broken provider,
// and going on would mean unhashed or predictable bytes.
void must(bool ok, Literal call) noexcept;

// forget_errors empties this thread's OpenSSL error queue. Every call that may fail on foreign
// bytes does so afterwards: what stays in the queue would be taken for the next TLS call's error.
void forget_errors() noexcept;

// Algorithms are fetched from the default provider once and never freed or changed: a fetch by name
// takes a lock and a look-up on every use, which costs more than a small message does.
struct Algorithms {
  const EVP_MD* sha1;
  const EVP_MD* sha256;
  const EVP_MD* sha384;
  const EVP_MD* sha512;
  const EVP_MD* sha3_256;
  const EVP_MD* sha3_512;
  const EVP_MD* shake128;
  const EVP_MD* shake256;
  EVP_MAC* hmac;
  const EVP_CIPHER* aes_128_gcm;
  const EVP_CIPHER* aes_256_gcm;
  const EVP_CIPHER* chacha20_poly1305;
};

const Algorithms& algorithms();

// ossl_data gives the pointer in OpenSSL's type. Never null, because a null pointer means "as
// before" to several of its functions where an empty view means "nothing".
const unsigned char* ossl_data(BytesView bytes) noexcept;
unsigned char* ossl_data(std::span<std::byte> bytes) noexcept;

// OsslFree is the deleter of every OpenSSL object that this module owns.
struct OsslFree {
  void operator()(EVP_MD_CTX* p) const noexcept { EVP_MD_CTX_free(p); }
  void operator()(EVP_MAC_CTX* p) const noexcept { EVP_MAC_CTX_free(p); }
  void operator()(EVP_CIPHER_CTX* p) const noexcept { EVP_CIPHER_CTX_free(p); }
  void operator()(EVP_PKEY* p) const noexcept { EVP_PKEY_free(p); }
  void operator()(EVP_PKEY_CTX* p) const noexcept { EVP_PKEY_CTX_free(p); }
};
template <class T> using OsslPtr = std::unique_ptr<T, OsslFree>;
using Pkey = OsslPtr<EVP_PKEY>;
using PkeyContext = OsslPtr<EVP_PKEY_CTX>;

}  // namespace tacit::crypto
