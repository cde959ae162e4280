// Private keys of signatures: making, reading and writing them.
#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>

#include "crypto/ecdh.hpp"
#include "crypto/random.hpp"
#include "crypto/secret_array.hpp"
#include "crypto/sign_impl.hpp"

namespace tacit::crypto {
namespace {

constexpr std::size_t kSeedBytes = 32;

struct Pkcs8Free {
  void operator()(PKCS8_PRIV_KEY_INFO* p) const noexcept { PKCS8_PRIV_KEY_INFO_free(p); }
};
using Pkcs8 = std::unique_ptr<PKCS8_PRIV_KEY_INFO, Pkcs8Free>;

std::unexpected<Error> malformed_key() {
  forget_errors();
  return fail(Code::malformed, "private key");
}

std::unexpected<Error> unsupported_kind() { return fail(Code::unsupported, "kind of private key"); }

bool is_ecdsa(KeyKind kind) { return kind == KeyKind::ecdsa_p256 || kind == KeyKind::ecdsa_p384; }

Pkey key_from_seed(KeyKind kind, BytesView seed) {
  if (kind == KeyKind::ed25519) {
    Pkey key{
        EVP_PKEY_new_raw_private_key_ex(nullptr, "ED25519", nullptr, ossl_data(seed), seed.size())};
    must(key != nullptr, "EVP_PKEY_new_raw_private_key_ex");
    return key;
  }
  const PkeyContext context{EVP_PKEY_CTX_new_from_name(nullptr, key_algorithm(kind), nullptr)};
  auto* data =
      const_cast<std::byte*>(seed.data());  // NOLINT(cppcoreguidelines-pro-type-const-cast)
  const OSSL_PARAM params[] = {
      OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_ML_DSA_SEED, data, seed.size()),
      OSSL_PARAM_construct_end()};
  EVP_PKEY* key = nullptr;
  must(context != nullptr && EVP_PKEY_keygen_init(context.get()) == 1 &&
           EVP_PKEY_CTX_set_params(context.get(), params) == 1 &&
           EVP_PKEY_generate(context.get(), &key) == 1,
       "EVP_PKEY_generate");
  return Pkey{key};
}

Bytes raw_public(EVP_PKEY* key, KeyKind kind) {
  if (is_ecdsa(kind)) {
    Bytes point(kind == KeyKind::ecdsa_p384 ? 97 : 65);
    ec_public_bytes(key, point);
    return point;
  }
  std::size_t size = 0;
  must(EVP_PKEY_get_raw_public_key(key, nullptr, &size) == 1, "EVP_PKEY_get_raw_public_key");
  Bytes raw(size);
  must(EVP_PKEY_get_raw_public_key(key, ossl_data(std::span<std::byte>{raw}), &size) == 1,
       "EVP_PKEY_get_raw_public_key");
  return raw;
}

// The kind of a key that OpenSSL has read, if it is one of ours.
Result<KeyKind> kind_of(EVP_PKEY* key) {
  for (const auto kind : {KeyKind::ed25519, KeyKind::ml_dsa_44, KeyKind::ml_dsa_65}) {
    if (EVP_PKEY_is_a(key, key_algorithm(kind)) == 1) return kind;
  }
  if (EVP_PKEY_is_a(key, "EC") == 1) {
    std::array<char, 32> name{};
    if (EVP_PKEY_get_group_name(key, name.data(), name.size(), nullptr) == 1) {
      const std::string_view group{name.data()};
      if (group == "prime256v1" || group == "P-256") return KeyKind::ecdsa_p256;
      if (group == "secp384r1" || group == "P-384") return KeyKind::ecdsa_p384;
    }
    forget_errors();
  }
  return unsupported_kind();
}

}  // namespace

SigningKey SignAccess::wrap(Pkey key, KeyKind kind) {
  auto verifying = VerifyingKey::parse_raw(kind, raw_public(key.get(), kind));
  must(verifying.has_value(), "reading the public part of a private key");
  return SigningKey{std::make_unique<SigningKey::Impl>(std::move(key), *std::move(verifying))};
}

SigningKey::SigningKey(std::unique_ptr<const Impl> impl) noexcept : impl_{std::move(impl)} {}
SigningKey::~SigningKey() = default;
SigningKey::SigningKey(SigningKey&&) noexcept = default;
SigningKey& SigningKey::operator=(SigningKey&&) noexcept = default;

Result<SigningKey> SigningKey::generate(KeyKind kind) {
  if (kind == KeyKind::rsa) return unsupported_kind();
  if (is_ecdsa(kind)) {
    const char* group = kind == KeyKind::ecdsa_p384 ? "P-384" : "P-256";
    Pkey key{EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", group)};
    must(key != nullptr, "EVP_PKEY_Q_keygen");
    return SignAccess::wrap(std::move(key), kind);
  }
  SecretArray<kSeedBytes> seed;
  random_bytes(seed.span());
  return from_seed(kind, seed.view());
}

Result<SigningKey> SigningKey::from_seed(KeyKind kind, BytesView seed) {
  if (kind == KeyKind::rsa || is_ecdsa(kind)) return unsupported_kind();
  if (seed.size() != kSeedBytes) return fail(Code::malformed, "seed size");
  return SignAccess::wrap(key_from_seed(kind, seed), kind);
}

Result<SigningKey> SigningKey::parse_pkcs8(BytesView der) {
  const auto* next = ossl_data(der);
  const auto* end = next + der.size();
  const Pkcs8 info{d2i_PKCS8_PRIV_KEY_INFO(nullptr, &next, static_cast<long>(der.size()))};
  if (info == nullptr || next != end) return malformed_key();
  Pkey key{EVP_PKCS82PKEY_ex(info.get(), nullptr, nullptr)};
  if (key == nullptr) return malformed_key();
  TACIT_TRY(const auto kind, kind_of(key.get()));
  if (is_ecdsa(kind)) {
    // A file may hold a public part that is not the private one's.
    const PkeyContext context{EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr)};
    if (context == nullptr || EVP_PKEY_check(context.get()) != 1) return malformed_key();
  }
  return SignAccess::wrap(std::move(key), kind);
}

Result<SigningKey> SigningKey::parse_pem(std::string_view text) {
  TACIT_TRY(const auto der, pem_decode(text, "PRIVATE KEY"));
  return parse_pkcs8(der.reveal());
}

const VerifyingKey& SigningKey::verifying_key() const noexcept { return impl_->verifying; }

SecretBytes SigningKey::pkcs8() const {
  const Pkcs8 info{EVP_PKEY2PKCS8(impl_->key.get())};
  must(info != nullptr, "EVP_PKEY2PKCS8");
  unsigned char* bytes = nullptr;
  const int size = i2d_PKCS8_PRIV_KEY_INFO(info.get(), &bytes);
  must(size > 0, "i2d_PKCS8_PRIV_KEY_INFO");
  const auto length = static_cast<std::size_t>(size);
  SecretBytes result{BytesView{reinterpret_cast<const std::byte*>(bytes), length}};
  OPENSSL_clear_free(bytes, length);
  return result;
}

SecretText SigningKey::pem() const {
  SecretText text;
  pem_encode(pkcs8().reveal(), "PRIVATE KEY", text);
  return text;
}

}  // namespace tacit::crypto
