#include "crypto/hash.hpp"

#include "core/text.hpp"
#include "crypto/hkdf.hpp"
#include "crypto/ossl.hpp"

namespace tacit::crypto {
namespace {

const EVP_MD* md_of(HashId hash) {
  const auto& all = algorithms();
  switch (hash) {
    case HashId::sha384: return all.sha384;
    case HashId::sha512: return all.sha512;
    case HashId::sha3_256: return all.sha3_256;
    case HashId::sha3_512: return all.sha3_512;
    case HashId::sha256: break;
  }
  return all.sha256;
}

OsslPtr<EVP_MD_CTX> started(const EVP_MD* md) {
  OsslPtr<EVP_MD_CTX> context{EVP_MD_CTX_new()};
  must(context != nullptr, "EVP_MD_CTX_new");
  must(EVP_DigestInit_ex2(context.get(), md, nullptr) == 1, "EVP_DigestInit_ex2");
  return context;
}

OsslPtr<EVP_MD_CTX> hashed(const EVP_MD* md, Parts message) {
  auto context = started(md);
  for (const auto part : message) {
    must(EVP_DigestUpdate(context.get(), ossl_data(part), part.size()) == 1, "EVP_DigestUpdate");
  }
  return context;
}

void finish(EVP_MD_CTX* context, std::span<std::byte> out) {
  unsigned size = 0;
  must(EVP_DigestFinal_ex(context, ossl_data(out), &size) == 1 && size == out.size(),
       "EVP_DigestFinal_ex");
}

void shake(const EVP_MD* md, Parts message, std::span<std::byte> out) {
  if (out.empty()) return;
  const auto context = hashed(md, message);
  must(EVP_DigestFinalXOF(context.get(), ossl_data(out), out.size()) == 1, "EVP_DigestFinalXOF");
}

}  // namespace

struct Sha256::State {
  OsslPtr<EVP_MD_CTX> context = started(algorithms().sha256);
};

Sha256::Sha256() : state_{std::make_unique<State>()} {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(BytesView bytes) {
  if (bytes.empty()) return;
  must(EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()) == 1,
       "EVP_DigestUpdate");
}

Sha256Digest Sha256::finish() {
  Sha256Digest result{};
  crypto::finish(state_->context.get(), result);
  return result;
}

void digest(HashId hash, Parts message, std::span<std::byte> out) {
  must(out.size() == digest_bytes(hash), "digest: wrong size of the result");
  finish(hashed(md_of(hash), message).get(), out);
}

Sha256Digest sha256(BytesView bytes) {
  Sha256Digest result{};
  digest(HashId::sha256, {bytes}, result);
  return result;
}

std::string sha256_hex(BytesView bytes) { return to_hex(sha256(bytes)); }

Sha384Digest sha384(BytesView bytes) {
  Sha384Digest result{};
  digest(HashId::sha384, {bytes}, result);
  return result;
}

Sha512Digest sha512(BytesView bytes) {
  Sha512Digest result{};
  digest(HashId::sha512, {bytes}, result);
  return result;
}

Sha3Digest sha3_256(BytesView bytes) {
  Sha3Digest result{};
  digest(HashId::sha3_256, {bytes}, result);
  return result;
}

Sha1Digest sha1(Parts message) {
  Sha1Digest result{};
  finish(hashed(algorithms().sha1, message).get(), result);
  return result;
}

void shake128(Parts message, std::span<std::byte> out) {
  shake(algorithms().shake128, message, out);
}

void shake256(Parts message, std::span<std::byte> out) {
  shake(algorithms().shake256, message, out);
}

Sha256Digest hmac_sha256(BytesView key, BytesView message) {
  Sha256Digest result{};
  Hmac{HashId::sha256}.compute(key, {message}, result);
  return result;
}

}  // namespace tacit::crypto
