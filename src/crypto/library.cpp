#include "crypto/library.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <memory>

namespace tacit::crypto {

LibraryInfo library_info() {
  const std::unique_ptr<EVP_KEM, decltype(&EVP_KEM_free)> kem{
      EVP_KEM_fetch(nullptr, "ML-KEM-768", nullptr), &EVP_KEM_free};
  return {OpenSSL_version(OPENSSL_VERSION), kem != nullptr};
}

}  // namespace tacit::crypto
