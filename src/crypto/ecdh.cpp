#include "crypto/ecdh.hpp"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/obj_mac.h>
#include <openssl/param_build.h>

#include <array>

#include "core/secret.hpp"

namespace tacit::crypto {
namespace {

constexpr std::size_t kScalarBytes = 32;
constexpr std::size_t kP256PointBytes = 65;
constexpr std::size_t kP384PointBytes = 97;

struct EcFree {
  void operator()(BIGNUM* p) const noexcept { BN_clear_free(p); }
  void operator()(EC_GROUP* p) const noexcept { EC_GROUP_free(p); }
  void operator()(EC_POINT* p) const noexcept { EC_POINT_clear_free(p); }
  void operator()(OSSL_PARAM_BLD* p) const noexcept { OSSL_PARAM_BLD_free(p); }
  void operator()(OSSL_PARAM* p) const noexcept { OSSL_PARAM_free(p); }
};
template <class T> using EcPtr = std::unique_ptr<T, EcFree>;

// Neither the point at infinity nor the compressed or hybrid forms, which OpenSSL would take.
bool is_uncompressed(BytesView bytes, std::size_t size) {
  return bytes.size() == size && bytes[0] == std::byte{4};
}

// A key from a point, and a private number or null. Null when the point is not on the curve.
Pkey ec_key(const char* group, BytesView point, const BIGNUM* number) {
  const EcPtr<OSSL_PARAM_BLD> builder{OSSL_PARAM_BLD_new()};
  must(builder != nullptr &&
           OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, group, 0) ==
               1 &&
           OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                            point.size()) == 1 &&
           (number == nullptr ||
            OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_PRIV_KEY, number) == 1),
       "OSSL_PARAM_BLD");
  const EcPtr<OSSL_PARAM> params{OSSL_PARAM_BLD_to_param(builder.get())};
  const PkeyContext context{EVP_PKEY_CTX_new_from_name(nullptr, "EC", nullptr)};
  must(params != nullptr && context != nullptr && EVP_PKEY_fromdata_init(context.get()) == 1,
       "EVP_PKEY_fromdata_init");
  EVP_PKEY* key = nullptr;
  const int selection = number == nullptr ? EVP_PKEY_PUBLIC_KEY : EVP_PKEY_KEYPAIR;
  if (EVP_PKEY_fromdata(context.get(), &key, selection, params.get()) != 1) {
    forget_errors();
    return nullptr;
  }
  return Pkey{key};
}

}  // namespace

Pkey x25519_public_key(BytesView bytes) {
  Pkey key{
      EVP_PKEY_new_raw_public_key_ex(nullptr, "X25519", nullptr, ossl_data(bytes), bytes.size())};
  if (key == nullptr) forget_errors();
  return key;
}

Pkey x25519_private_key(BytesView bytes) {
  Pkey key{
      EVP_PKEY_new_raw_private_key_ex(nullptr, "X25519", nullptr, ossl_data(bytes), bytes.size())};
  if (key == nullptr) forget_errors();
  return key;
}

void x25519_public_bytes(EVP_PKEY* key, std::span<std::byte> out) {
  std::size_t size = out.size();
  must(EVP_PKEY_get_raw_public_key(key, ossl_data(out), &size) == 1 && size == out.size(),
       "EVP_PKEY_get_raw_public_key");
}

Pkey p256_public_key(BytesView bytes) {
  return is_uncompressed(bytes, kP256PointBytes) ? ec_key("P-256", bytes, nullptr) : nullptr;
}

Pkey p384_public_key(BytesView bytes) {
  return is_uncompressed(bytes, kP384PointBytes) ? ec_key("P-384", bytes, nullptr) : nullptr;
}

Pkey p256_private_key(BytesView bytes) {
  if (bytes.size() != kScalarBytes) return nullptr;
  const EcPtr<EC_GROUP> group{EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1)};
  must(group != nullptr, "EC_GROUP_new_by_curve_name");
  const EcPtr<BIGNUM> number{BN_secure_new()};
  must(number != nullptr &&
           BN_bin2bn(ossl_data(bytes), static_cast<int>(bytes.size()), number.get()) != nullptr,
       "BN_bin2bn");
  BN_set_flags(number.get(), BN_FLG_CONSTTIME);
  if (BN_is_zero(number.get()) != 0 ||
      BN_cmp(number.get(), EC_GROUP_get0_order(group.get())) >= 0) {
    return nullptr;
  }
  const EcPtr<EC_POINT> point{EC_POINT_new(group.get())};
  must(point != nullptr &&
           EC_POINT_mul(group.get(), point.get(), number.get(), nullptr, nullptr, nullptr) == 1,
       "EC_POINT_mul");
  std::array<std::byte, kP256PointBytes> encoded{};
  must(EC_POINT_point2oct(group.get(), point.get(), POINT_CONVERSION_UNCOMPRESSED,
                          ossl_data(std::span<std::byte>{encoded}), encoded.size(),
                          nullptr) == encoded.size(),
       "EC_POINT_point2oct");
  return ec_key("P-256", encoded, number.get());
}

void ec_public_bytes(EVP_PKEY* key, std::span<std::byte> out) {
  std::size_t size = 0;
  must(EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, ossl_data(out), out.size(),
                                       &size) == 1 &&
           size == out.size(),
       "EVP_PKEY_get_octet_string_param");
}

bool diffie_hellman(EVP_PKEY* mine, EVP_PKEY* peer, std::span<std::byte> out) {
  const PkeyContext context{EVP_PKEY_CTX_new_from_pkey(nullptr, mine, nullptr)};
  must(context != nullptr && EVP_PKEY_derive_init(context.get()) == 1, "EVP_PKEY_derive_init");
  // Without OpenSSL's check of the peer, which for P-256 costs as much as the agreement: the point
  // was found on the curve when it was parsed, and the curve's cofactor is 1.
  must(EVP_PKEY_derive_set_peer_ex(context.get(), peer, 0) == 1, "EVP_PKEY_derive_set_peer_ex");
  std::size_t size = out.size();
  if (EVP_PKEY_derive(context.get(), ossl_data(out), &size) != 1) {
    wipe(out);
    forget_errors();
    return false;
  }
  must(size == out.size(), "EVP_PKEY_derive");
  if (EVP_PKEY_is_a(mine, "X25519") != 1) return true;  // an x of 0 on P-256 is one like others
  const std::array<std::byte, kScalarBytes> zeros{};
  return !constant_time_equal(out, zeros);
}

}  // namespace tacit::crypto
