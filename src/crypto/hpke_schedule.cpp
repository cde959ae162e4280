#include "crypto/hpke_schedule.hpp"

#include <algorithm>
#include <array>

#include "crypto/labels.hpp"
#include "crypto/ossl.hpp"
#include "crypto/secret_array.hpp"

namespace tacit::crypto {
namespace {

constexpr std::size_t kPskBytesMin = 32;

bool is_xof(KdfId kdf) { return kdf == KdfId::shake128 || kdf == KdfId::shake256; }

Xof xof_of(KdfId kdf) { return kdf == KdfId::shake128 ? Xof{shake128} : Xof{shake256}; }

HashId hash_of(KdfId kdf) {
  if (kdf == KdfId::hkdf_sha384) return HashId::sha384;
  if (kdf == KdfId::hkdf_sha512) return HashId::sha512;
  return HashId::sha256;
}

// Nh.
std::size_t exporter_bytes(KdfId kdf) {
  if (kdf == KdfId::shake128) return 32;
  if (kdf == KdfId::shake256) return 64;
  return digest_bytes(hash_of(kdf));
}

// "HPKE" and the three numbers.
std::array<std::byte, 10> suite_id(const HpkeSuite& suite) {
  std::array<std::byte, 10> id{std::byte{'H'}, std::byte{'P'}, std::byte{'K'}, std::byte{'E'}};
  auto out = id.begin() + 4;
  for (const auto number :
       {static_cast<std::uint16_t>(suite.kem), static_cast<std::uint16_t>(suite.kdf),
        static_cast<std::uint16_t>(suite.aead)}) {
    out = std::ranges::copy(two_bytes(number), out).out;
  }
  return id;
}

Result<void> check_size(BytesView bytes, Literal what) {
  if (bytes.size() <= kHpkeInputBytesMax) return {};
  return fail(Error{Code::too_large, what}
                  .with("bytes", static_cast<std::int64_t>(bytes.size()))
                  .with("limit", static_cast<std::int64_t>(kHpkeInputBytesMax)));
}

Result<void> check_inputs(BytesView info, const std::optional<HpkePsk>& psk) {
  TACIT_CHECK(check_size(info, "HPKE info"));
  if (!psk) return {};
  TACIT_CHECK(check_size(psk->key, "HPKE PSK"));
  TACIT_CHECK(check_size(psk->id, "HPKE PSK name"));
  if (psk->key.size() < kPskBytesMin) return fail(Code::invalid_argument, "HPKE PSK is too short");
  if (psk->id.empty()) return fail(Code::invalid_argument, "HPKE PSK has no name");
  return {};
}

struct Inputs {
  std::byte mode;
  BytesView shared_secret, info, psk, psk_id;
};

void two_stage(const HpkeSuite& suite, const Inputs& in, HpkeSchedule& out) {
  const auto id = suite_id(suite);
  LabeledHkdf hkdf{hash_of(suite.kdf), id};
  const auto size = hkdf.prk_bytes();
  std::array<std::byte, kDigestBytesMax> psk_id_hash{};
  std::array<std::byte, kDigestBytesMax> info_hash{};
  hkdf.extract({}, "psk_id_hash", in.psk_id, std::span{psk_id_hash}.first(size));
  hkdf.extract({}, "info_hash", in.info, std::span{info_hash}.first(size));
  const std::array<BytesView, 3> context{BytesView{&in.mode, 1}, BytesView{psk_id_hash}.first(size),
                                         BytesView{info_hash}.first(size)};
  SecretArray<kDigestBytesMax> secret;
  const auto prk = secret.first(size);
  hkdf.extract(in.shared_secret, "secret", in.psk, prk);
  const auto expand = [&](std::string_view label, std::span<std::byte> bytes) {
    if (bytes.empty()) return;
    must(hkdf.expand(prk, label, context, bytes).has_value(), "the HPKE key schedule");
  };
  expand("exp", out.exporter_secret.reveal_mutable());
  if (out.key.empty()) return;
  expand("key", out.key.reveal_mutable());
  expand("base_nonce", out.base_nonce);
}

void single_stage(const HpkeSuite& suite, const Inputs& in, HpkeSchedule& out) {
  SecretBytes all{out.key.size() + (out.key.empty() ? 0 : kAeadNonceBytes) +
                  out.exporter_secret.size()};
  labeled_derive(
      xof_of(suite.kdf), suite_id(suite),
      {two_bytes(in.psk.size()), in.psk, two_bytes(in.shared_secret.size()), in.shared_secret},
      "secret",
      {BytesView{&in.mode, 1}, two_bytes(in.psk_id.size()), in.psk_id, two_bytes(in.info.size()),
       in.info},
      all.reveal_mutable());
  auto rest = all.reveal();
  const auto take = [&](std::span<std::byte> bytes) {
    std::ranges::copy(rest.first(bytes.size()), bytes.begin());
    rest = rest.subspan(bytes.size());
  };
  if (!out.key.empty()) {
    take(out.key.reveal_mutable());
    take(out.base_nonce);
  }
  take(out.exporter_secret.reveal_mutable());
}

}  // namespace

Result<HpkeSchedule> hpke_schedule(const HpkeSuite& suite, BytesView shared_secret, BytesView info,
                                   std::optional<HpkePsk> psk) {
  TACIT_CHECK(check_inputs(info, psk));
  const auto given = psk.value_or(HpkePsk{});
  const Inputs in{static_cast<std::byte>(psk ? 1 : 0), shared_secret, info, given.key, given.id};
  HpkeSchedule out{
      SecretBytes{aead_key_bytes(suite.aead)}, {}, SecretBytes{exporter_bytes(suite.kdf)}};
  if (is_xof(suite.kdf)) {
    single_stage(suite, in, out);
  } else {
    two_stage(suite, in, out);
  }
  return out;
}

Result<SecretBytes> hpke_export(const HpkeSuite& suite, BytesView exporter_secret,
                                BytesView context, std::size_t n) {
  TACIT_CHECK(check_size(context, "HPKE exporter context"));
  if (n > kHpkeInputBytesMax) {
    return fail(Error{Code::invalid_argument, "exported secret is too long"}
                    .with("bytes", static_cast<std::int64_t>(n))
                    .with("limit", static_cast<std::int64_t>(kHpkeInputBytesMax)));
  }
  const auto id = suite_id(suite);
  SecretBytes out{n};
  if (is_xof(suite.kdf)) {
    labeled_derive(xof_of(suite.kdf), id, {exporter_secret}, "sec", {context},
                   out.reveal_mutable());
  } else {
    LabeledHkdf hkdf{hash_of(suite.kdf), id};
    TACIT_CHECK(hkdf.expand(exporter_secret, "sec", {context}, out.reveal_mutable()));
  }
  return out;
}

}  // namespace tacit::crypto
