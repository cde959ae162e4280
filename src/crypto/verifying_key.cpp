// Public keys of signatures: reading, checking and writing them.
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>

#include <algorithm>
#include <array>

#include "crypto/der.hpp"
#include "crypto/ecdh.hpp"
#include "crypto/sign_impl.hpp"

namespace tacit::crypto {
namespace {

// SubjectPublicKeyInfo of a kind with keys of fixed size is a constant, then the key.
struct Layout {
  KeyKind kind;
  std::string_view prefix;
  std::size_t raw_bytes;
};

constexpr Layout kLayouts[] = {
    {KeyKind::ed25519, {"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00", 12}, 32},
    {KeyKind::ecdsa_p256,
     {"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07"
      "\x03\x42\x00",
      26},
     65},
    {KeyKind::ecdsa_p384,
     {"\x30\x76\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22\x03\x62"
      "\x00",
      23},
     97},
    {KeyKind::ml_dsa_44,
     {"\x30\x82\x05\x32\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x03\x11\x03\x82\x05\x21\x00",
      22},
     1312},
    {KeyKind::ml_dsa_65,
     {"\x30\x82\x07\xb2\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x03\x12\x03\x82\x07\xa1\x00",
      22},
     1952},
};

// AlgorithmIdentifier rsaEncryption with its NULL (RFC 3279), as the content of a SEQUENCE.
constexpr std::string_view kRsaAlgorithm{"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00",
                                         13};
constexpr std::size_t kRsaBytesMin = 2048 / 8;
constexpr std::size_t kRsaBytesMax = 8192 / 8;
constexpr std::size_t kRsaExponentBytesMax = 4;

std::unexpected<Error> malformed_key() { return fail(Code::malformed, "public key"); }

const Layout* layout_of(KeyKind kind) {
  const auto found = std::ranges::find(kLayouts, kind, &Layout::kind);
  return found == std::end(kLayouts) ? nullptr : found;
}

// The y coordinates, little-endian with the sign bit clear, of the eight points of small order.
constexpr std::array<std::array<unsigned char, 32>, 5> kSmallOrder{{
    {0},
    {1},
    {0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f},
    {0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4,
     0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6,
     0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05},
    {0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b,
     0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39,
     0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a},
}};

bool acceptable_ed25519(BytesView bytes) {
  std::array<unsigned char, 32> y{};
  std::ranges::transform(bytes, y.begin(),
                         [](std::byte b) { return std::to_integer<unsigned char>(b); });
  y[31] &= 0x7f;
  // Canonical: below p = 2^255 - 19.
  const bool high = y[31] == 0x7f && std::all_of(y.begin() + 1, y.end() - 1,
                                                 [](unsigned char b) { return b == 0xff; });
  if (high && y[0] >= 0xed) return false;
  return std::ranges::find(kSmallOrder, y) == kSmallOrder.end();
}

Pkey raw_key(KeyKind kind, BytesView bytes) {
  if (kind == KeyKind::ecdsa_p256) return p256_public_key(bytes);
  if (kind == KeyKind::ecdsa_p384) return p384_public_key(bytes);
  if (kind == KeyKind::ed25519 && !acceptable_ed25519(bytes)) return nullptr;
  Pkey key{EVP_PKEY_new_raw_public_key_ex(nullptr, key_algorithm(kind), nullptr, ossl_data(bytes),
                                          bytes.size())};
  if (key == nullptr) forget_errors();
  return key;
}

struct BnFree {
  void operator()(BIGNUM* p) const noexcept { BN_free(p); }
  void operator()(OSSL_PARAM_BLD* p) const noexcept { OSSL_PARAM_BLD_free(p); }
  void operator()(OSSL_PARAM* p) const noexcept { OSSL_PARAM_free(p); }
};
template <class T> using BnPtr = std::unique_ptr<T, BnFree>;

BnPtr<BIGNUM> number(BytesView bytes) {
  BnPtr<BIGNUM> value{BN_bin2bn(ossl_data(bytes), static_cast<int>(bytes.size()), nullptr)};
  must(value != nullptr, "BN_bin2bn");
  return value;
}

Pkey rsa_key(BytesView modulus, BytesView exponent) {
  const auto n = number(modulus);
  const auto e = number(exponent);
  const BnPtr<OSSL_PARAM_BLD> builder{OSSL_PARAM_BLD_new()};
  must(builder != nullptr &&
           OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) == 1 &&
           OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) == 1,
       "OSSL_PARAM_BLD");
  const BnPtr<OSSL_PARAM> params{OSSL_PARAM_BLD_to_param(builder.get())};
  const PkeyContext context{EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr)};
  must(params != nullptr && context != nullptr && EVP_PKEY_fromdata_init(context.get()) == 1,
       "EVP_PKEY_fromdata_init");
  EVP_PKEY* key = nullptr;
  if (EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY, params.get()) != 1) {
    forget_errors();
    return nullptr;
  }
  return Pkey{key};
}

BytesView trimmed(BytesView magnitude) {
  while (!magnitude.empty() && magnitude[0] == std::byte{0}) magnitude = magnitude.subspan(1);
  return magnitude;
}

bool is_odd(BytesView magnitude) { return (magnitude.back() & std::byte{1}) != std::byte{0}; }

Bytes rsa_spki(BytesView modulus, BytesView exponent) {
  Bytes numbers;
  der_put_unsigned(numbers, modulus);
  der_put_unsigned(numbers, exponent);
  Bytes bits{std::byte{0}};  // no unused bits
  der_put(bits, kDerSequence, numbers);
  Bytes content;
  der_put(content, kDerSequence, as_bytes(kRsaAlgorithm));
  der_put(content, kDerBitString, bits);
  Bytes spki;
  der_put(spki, kDerSequence, content);
  return spki;
}

Result<VerifyingKey> parse_rsa_spki(BytesView der) {
  DerReader outer{der};
  TACIT_TRY(const auto content, outer.take(kDerSequence));
  DerReader parts{content};
  TACIT_TRY(const auto algorithm, parts.take(kDerSequence));
  if (as_text(algorithm) != kRsaAlgorithm) {
    return fail(Code::unsupported, "algorithm of public key");
  }
  TACIT_TRY(const auto bits, parts.take(kDerBitString));
  if (bits.empty() || bits[0] != std::byte{0} || !parts.done() || !outer.done()) {
    return malformed_key();
  }
  DerReader key{bits.subspan(1)};
  TACIT_TRY(const auto numbers, key.take(kDerSequence));
  DerReader pair{numbers};
  TACIT_TRY(const auto modulus, pair.take_unsigned());
  TACIT_TRY(const auto exponent, pair.take_unsigned());
  if (!pair.done() || !key.done()) return malformed_key();
  return VerifyingKey::from_rsa(modulus, exponent);
}

}  // namespace

const char* key_algorithm(KeyKind kind) noexcept {
  if (kind == KeyKind::ml_dsa_44) return "ML-DSA-44";
  if (kind == KeyKind::ml_dsa_65) return "ML-DSA-65";
  return "ED25519";
}

VerifyingKey::VerifyingKey(std::shared_ptr<const Impl> impl) noexcept : impl_{std::move(impl)} {}

Result<VerifyingKey> VerifyingKey::parse_raw(KeyKind kind, BytesView bytes) {
  const auto* layout = layout_of(kind);
  if (layout == nullptr) return fail(Code::unsupported, "RSA keys have no bare form");
  if (bytes.size() != layout->raw_bytes) return malformed_key();
  auto key = raw_key(kind, bytes);
  if (key == nullptr) return malformed_key();
  const auto prefix = as_bytes(layout->prefix);
  Bytes spki{prefix.begin(), prefix.end()};
  spki.insert(spki.end(), bytes.begin(), bytes.end());
  return VerifyingKey{
      std::make_shared<Impl>(Impl{kind, std::move(key), std::move(spki), layout->raw_bytes})};
}

Result<VerifyingKey> VerifyingKey::from_rsa(BytesView modulus, BytesView exponent) {
  modulus = trimmed(modulus);
  exponent = trimmed(exponent);
  if (modulus.empty() || exponent.empty() || !is_odd(modulus) || !is_odd(exponent) ||
      (exponent.size() == 1 && exponent[0] == std::byte{1})) {
    return malformed_key();
  }
  const bool top_bit = (modulus[0] & std::byte{0x80}) != std::byte{0};
  if (modulus.size() < kRsaBytesMin || (modulus.size() == kRsaBytesMin && !top_bit) ||
      modulus.size() > kRsaBytesMax || exponent.size() > kRsaExponentBytesMax) {
    return fail(Error{Code::unsupported, "size of RSA key"}
                    .with("bytes", static_cast<std::int64_t>(modulus.size()))
                    .with("exponent_bytes", static_cast<std::int64_t>(exponent.size())));
  }
  auto key = rsa_key(modulus, exponent);
  if (key == nullptr) return malformed_key();
  return VerifyingKey{
      std::make_shared<Impl>(Impl{KeyKind::rsa, std::move(key), rsa_spki(modulus, exponent), 0})};
}

Result<VerifyingKey> VerifyingKey::parse_spki(BytesView der) {
  for (const auto& layout : kLayouts) {
    if (as_text(der).starts_with(layout.prefix)) {
      return parse_raw(layout.kind, der.subspan(layout.prefix.size()));
    }
  }
  return parse_rsa_spki(der);
}

Result<VerifyingKey> VerifyingKey::parse_pem(std::string_view text) {
  TACIT_TRY(const auto der, pem_decode(text, "PUBLIC KEY"));
  return parse_spki(der.reveal());
}

KeyKind VerifyingKey::kind() const noexcept { return impl_->kind; }
BytesView VerifyingKey::spki() const noexcept { return impl_->spki; }
BytesView VerifyingKey::raw() const noexcept {
  return BytesView{impl_->spki}.last(impl_->raw_bytes);
}

std::string VerifyingKey::pem() const {
  SecretText text;
  pem_encode(spki(), "PUBLIC KEY", text);
  return std::string{text.reveal()};
}

bool operator==(const VerifyingKey& a, const VerifyingKey& b) noexcept {
  return std::ranges::equal(a.spki(), b.spki());
}

}  // namespace tacit::crypto
