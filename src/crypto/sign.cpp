// Making and checking signatures.
#include "crypto/sign.hpp"

#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/rsa.h>

#include <algorithm>
#include <array>

#include "crypto/der.hpp"
#include "crypto/sign_impl.hpp"

namespace tacit::crypto {
namespace {

enum class Family : std::uint8_t { ed25519, ecdsa, rsa_pss, rsa_pkcs1, ml_dsa };

struct Scheme {
  Family family;
  const char* hash = nullptr;
  bool raw = false;  // ECDSA as r || s
};

Scheme scheme_of(SignatureScheme scheme) {
  switch (scheme) {
    case SignatureScheme::ecdsa_sha256_der: return {Family::ecdsa, "SHA2-256"};
    case SignatureScheme::ecdsa_sha256_raw: return {Family::ecdsa, "SHA2-256", true};
    case SignatureScheme::ecdsa_sha384_der: return {Family::ecdsa, "SHA2-384"};
    case SignatureScheme::ecdsa_sha384_raw: return {Family::ecdsa, "SHA2-384", true};
    case SignatureScheme::ecdsa_sha512_der: return {Family::ecdsa, "SHA2-512"};
    case SignatureScheme::ecdsa_sha512_raw: return {Family::ecdsa, "SHA2-512", true};
    case SignatureScheme::rsa_pss_sha256: return {Family::rsa_pss, "SHA2-256"};
    case SignatureScheme::rsa_pss_sha384: return {Family::rsa_pss, "SHA2-384"};
    case SignatureScheme::rsa_pss_sha512: return {Family::rsa_pss, "SHA2-512"};
    case SignatureScheme::rsa_pkcs1_sha256: return {Family::rsa_pkcs1, "SHA2-256"};
    case SignatureScheme::rsa_pkcs1_sha384: return {Family::rsa_pkcs1, "SHA2-384"};
    case SignatureScheme::rsa_pkcs1_sha512: return {Family::rsa_pkcs1, "SHA2-512"};
    case SignatureScheme::ml_dsa: return {Family::ml_dsa};
    case SignatureScheme::ed25519: break;
  }
  return {Family::ed25519};
}

bool fits(Family family, KeyKind kind) {
  switch (kind) {
    case KeyKind::ed25519: return family == Family::ed25519;
    case KeyKind::ecdsa_p256:
    case KeyKind::ecdsa_p384: return family == Family::ecdsa;
    case KeyKind::rsa: return family == Family::rsa_pss || family == Family::rsa_pkcs1;
    case KeyKind::ml_dsa_44:
    case KeyKind::ml_dsa_65: break;
  }
  return family == Family::ml_dsa;
}

Result<Scheme> checked(SignatureScheme id, KeyKind kind, BytesView context) {
  const auto scheme = scheme_of(id);
  if (!fits(scheme.family, kind)) {
    return fail(Code::invalid_argument, "signature scheme does not fit the key");
  }
  if (!context.empty() && scheme.family != Family::ml_dsa) {
    return fail(Code::invalid_argument, "signature scheme takes no context");
  }
  if (context.size() > kSignatureContextBytesMax) {
    return fail(Error{Code::invalid_argument, "signature context is too long"}
                    .with("bytes", static_cast<std::int64_t>(context.size()))
                    .with("limit", kSignatureContextBytesMax));
  }
  return scheme;
}

std::unexpected<Error> does_not_verify() {
  forget_errors();
  return fail(Code::corrupt, "signature does not verify");
}

// Half of r || s.
std::size_t coordinate_bytes(KeyKind kind) { return kind == KeyKind::ecdsa_p384 ? 48 : 32; }

Bytes der_from_raw(BytesView raw) {
  Bytes numbers;
  der_put_unsigned(numbers, raw.first(raw.size() / 2));
  der_put_unsigned(numbers, raw.last(raw.size() / 2));
  Bytes der;
  der_put(der, kDerSequence, numbers);
  return der;
}

Result<Bytes> raw_from_der(BytesView der, std::size_t half) {
  DerReader outer{der};
  TACIT_TRY(const auto content, outer.take(kDerSequence));
  DerReader numbers{content};
  Bytes raw(2 * half);
  for (const std::size_t end : {half, 2 * half}) {
    TACIT_TRY(const auto value, numbers.take_unsigned());
    if (value.size() > half) return fail(Code::internal, "ECDSA signature");
    std::ranges::copy(value, raw.begin() + static_cast<std::ptrdiff_t>(end - value.size()));
  }
  return raw;
}

// The parameters of one signature; OpenSSL's are not const, though it only reads them.
class Params {
 public:
  Params(const Scheme& scheme, BytesView context, SignOptions options)
      : deterministic_{options.deterministic ? 1 : 0}, mu_{options.message_is_mu ? 1 : 0} {
    if (scheme.family != Family::ml_dsa) return;
    // Not null even when the context is empty, which OpenSSL asks for.
    auto* data = const_cast<unsigned char*>(  // NOLINT(cppcoreguidelines-pro-type-const-cast)
        ossl_data(context));
    params_[0] = OSSL_PARAM_construct_octet_string(OSSL_SIGNATURE_PARAM_CONTEXT_STRING, data,
                                                   context.size());
    params_[1] = OSSL_PARAM_construct_int(OSSL_SIGNATURE_PARAM_DETERMINISTIC, &deterministic_);
    params_[2] = OSSL_PARAM_construct_int(OSSL_SIGNATURE_PARAM_MU, &mu_);
  }
  Params(const Params&) = delete;
  Params& operator=(const Params&) = delete;
  const OSSL_PARAM* get() const { return params_.data(); }

 private:
  int deterministic_;
  int mu_;
  std::array<OSSL_PARAM, 4> params_{OSSL_PARAM_construct_end(), OSSL_PARAM_construct_end(),
                                    OSSL_PARAM_construct_end(), OSSL_PARAM_construct_end()};
};

void set_rsa_padding(EVP_PKEY_CTX* context, Family family) {
  if (family == Family::rsa_pss) {
    must(EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1 &&
             EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1,
         "EVP_PKEY_CTX_set_rsa_padding");
  } else if (family == Family::rsa_pkcs1) {
    must(EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1,
         "EVP_PKEY_CTX_set_rsa_padding");
  }
}

}  // namespace

Result<void> VerifyingKey::verify(SignatureScheme id, BytesView message, BytesView signature,
                                  BytesView context) const {
  TACIT_TRY(const auto scheme, checked(id, kind(), context));
  Bytes der;
  if (scheme.raw) {
    if (signature.size() != 2 * coordinate_bytes(kind())) return does_not_verify();
    der = der_from_raw(signature);
    signature = der;
  }
  const OsslPtr<EVP_MD_CTX> digest{EVP_MD_CTX_new()};
  const Params params{scheme, context, {}};
  EVP_PKEY_CTX* pkey_context = nullptr;  // owned by `digest`
  must(digest != nullptr &&
           EVP_DigestVerifyInit_ex(digest.get(), &pkey_context, scheme.hash, nullptr, nullptr,
                                   impl_->key.get(), params.get()) == 1,
       "EVP_DigestVerifyInit_ex");
  set_rsa_padding(pkey_context, scheme.family);
  if (EVP_DigestVerify(digest.get(), ossl_data(signature), signature.size(), ossl_data(message),
                       message.size()) != 1) {
    return does_not_verify();
  }
  return {};
}

Result<Bytes> sign_with(const SigningKey::Impl& key, SignatureScheme id, BytesView message,
                        BytesView context, SignOptions options) {
  const auto kind = key.verifying.kind();
  TACIT_TRY(const auto scheme, checked(id, kind, context));
  const OsslPtr<EVP_MD_CTX> digest{EVP_MD_CTX_new()};
  const Params params{scheme, context, options};
  must(digest != nullptr && EVP_DigestSignInit_ex(digest.get(), nullptr, scheme.hash, nullptr,
                                                  nullptr, key.key.get(), params.get()) == 1,
       "EVP_DigestSignInit_ex");
  std::size_t size = 0;
  must(EVP_DigestSign(digest.get(), nullptr, &size, ossl_data(message), message.size()) == 1,
       "EVP_DigestSign");
  Bytes signature(size);
  if (EVP_DigestSign(digest.get(), ossl_data(std::span<std::byte>{signature}), &size,
                     ossl_data(message), message.size()) != 1) {
    forget_errors();
    return fail(Code::invalid_argument, "message cannot be signed");
  }
  signature.resize(size);  // ECDSA's DER varies
  if (scheme.raw) return raw_from_der(signature, coordinate_bytes(kind));
  return signature;
}

Result<Bytes> SigningKey::sign(SignatureScheme scheme, BytesView message, BytesView context) const {
  return sign_with(*impl_, scheme, message, context, {});
}

}  // namespace tacit::crypto
