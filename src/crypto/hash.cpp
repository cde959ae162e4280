#include "crypto/hash.hpp"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <climits>

#include "core/text.hpp"
#include "crypto/ossl.hpp"

namespace tacit::crypto {
namespace {

const unsigned char* data(BytesView bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

}  // namespace

struct Sha256::State {
  State() : context{EVP_MD_CTX_new()} {
    must(context != nullptr, "EVP_MD_CTX_new");
    must(EVP_DigestInit_ex(context, EVP_sha256(), nullptr) == 1, "EVP_DigestInit_ex");
  }
  ~State() { EVP_MD_CTX_free(context); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  EVP_MD_CTX* context;
};

Sha256::Sha256() : state_{std::make_unique<State>()} {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(BytesView bytes) {
  if (bytes.empty()) return;
  must(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) == 1, "EVP_DigestUpdate");
}

Sha256Digest Sha256::finish() {
  Sha256Digest digest{};
  unsigned size = 0;
  must(EVP_DigestFinal_ex(state_->context, reinterpret_cast<unsigned char*>(digest.data()),
                          &size) == 1 &&
           size == digest.size(),
       "EVP_DigestFinal_ex");
  return digest;
}

Sha256Digest sha256(BytesView bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.finish();
}

std::string sha256_hex(BytesView bytes) { return to_hex(sha256(bytes)); }

Sha256Digest hmac_sha256(BytesView key, BytesView message) {
  Sha256Digest digest{};
  unsigned size = 0;
  // RFC 2104 says that a longer key is hashed first, so one that OpenSSL's int cannot count is,
  // too.
  Sha256Digest short_key{};
  if (key.size() > INT_MAX) {
    short_key = sha256(key);
    key = short_key;
  }
  // A null key means "as before" to OpenSSL; an empty one is the caller's right.
  const unsigned char none = 0;
  must(HMAC(EVP_sha256(), key.empty() ? &none : data(key), static_cast<int>(key.size()),
            data(message), message.size(), reinterpret_cast<unsigned char*>(digest.data()),
            &size) != nullptr &&
           size == digest.size(),
       "HMAC");
  return digest;
}

}  // namespace tacit::crypto
