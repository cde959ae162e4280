#include "crypto/hkdf.hpp"

#include <openssl/core_names.h>
#include <openssl/params.h>

#include <algorithm>

#include "crypto/ossl.hpp"
#include "crypto/secret_array.hpp"

namespace tacit::crypto {
namespace {

const char* name_of(HashId hash) {
  switch (hash) {
    case HashId::sha384: return "SHA2-384";
    case HashId::sha512: return "SHA2-512";
    case HashId::sha3_256:
    case HashId::sha3_512: must(false, "Hmac: only with SHA-2"); break;
    case HashId::sha256: break;
  }
  return "SHA2-256";
}

}  // namespace

void Hmac::Free::operator()(evp_mac_ctx_st* context) const noexcept { EVP_MAC_CTX_free(context); }

Hmac::Hmac(HashId hash) : hash_{hash}, context_{EVP_MAC_CTX_new(algorithms().hmac)} {
  must(context_ != nullptr, "EVP_MAC_CTX_new");
  // OpenSSL's parameters are not const, though it only reads this one.
  auto* name = const_cast<char*>(name_of(hash));  // NOLINT(cppcoreguidelines-pro-type-const-cast)
  const OSSL_PARAM params[] = {OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0),
                               OSSL_PARAM_construct_end()};
  must(EVP_MAC_CTX_set_params(context_.get(), params) == 1, "EVP_MAC_CTX_set_params");
}

void Hmac::begin(BytesView key) {
  must(EVP_MAC_init(context_.get(), ossl_data(key), key.size(), nullptr) == 1, "EVP_MAC_init");
}

void Hmac::begin_again() {
  must(EVP_MAC_init(context_.get(), nullptr, 0, nullptr) == 1, "EVP_MAC_init");
}

void Hmac::update(BytesView part) {
  must(EVP_MAC_update(context_.get(), ossl_data(part), part.size()) == 1, "EVP_MAC_update");
}

void Hmac::finish(std::span<std::byte> out) {
  std::size_t size = 0;
  must(out.size() == digest_bytes(hash_), "Hmac: wrong size of the result");
  must(EVP_MAC_final(context_.get(), ossl_data(out), &size, out.size()) == 1 && size == out.size(),
       "EVP_MAC_final");
}

void Hmac::compute(BytesView key, Parts message, std::span<std::byte> out) {
  begin(key);
  for (const auto part : message) update(part);
  finish(out);
}

void Hkdf::extract(BytesView salt, Parts ikm, std::span<std::byte> prk) {
  // RFC 5869: no salt is a string of HashLen zeros, which HMAC pads to the same key as nothing.
  hmac_.compute(salt, ikm, prk);
}

Result<void> Hkdf::expand(BytesView prk, Parts info, std::span<std::byte> out) {
  const auto block_bytes = prk_bytes();
  if (out.size() > 255 * block_bytes) {
    return fail(Error{Code::invalid_argument, "HKDF output is too long"}
                    .with("bytes", static_cast<std::int64_t>(out.size()))
                    .with("limit", static_cast<std::int64_t>(255 * block_bytes)));
  }
  SecretArray<kDigestBytesMax> block;
  std::size_t previous = 0;  // T(0) is empty
  for (unsigned counter = 1; !out.empty(); ++counter) {
    if (counter == 1) {
      hmac_.begin(prk);
    } else {
      hmac_.begin_again();
    }
    hmac_.update(block.first(previous));
    for (const auto part : info) hmac_.update(part);
    const auto count = static_cast<std::byte>(counter);
    hmac_.update({&count, 1});
    hmac_.finish(block.first(block_bytes));
    previous = block_bytes;
    const auto n = std::min(out.size(), block_bytes);
    std::ranges::copy(block.first(n), out.begin());
    out = out.subspan(n);
  }
  return {};
}

}  // namespace tacit::crypto
