#include "seal/key_config.hpp"

namespace tacit::seal {
namespace {

constexpr std::size_t kConfigsMax = 16;

}  // namespace

Bytes encode_key_config(const KeyConfig& config) {
  ByteWriter out;
  out.u8(config.key_id);
  out.u16_be(static_cast<std::uint16_t>(config.kem));
  out.raw(config.public_key);
  out.u16_be(static_cast<std::uint16_t>(4 * config.suites.size()));
  for (const auto& suite : config.suites) {
    out.u16_be(static_cast<std::uint16_t>(suite.kdf));
    out.u16_be(static_cast<std::uint16_t>(suite.aead));
  }
  return std::move(out).take();
}

Result<KeyConfig> parse_key_config(BytesView bytes) {
  ByteReader in{bytes};
  KeyConfig config;
  TACIT_TRY(config.key_id, in.u8());
  TACIT_TRY(const auto kem, in.u16_be());
  TACIT_TRY(config.kem, crypto::kem_id(kem));
  TACIT_TRY(const auto key, in.take(crypto::kem_sizes(config.kem).public_key));
  config.public_key.assign(key.begin(), key.end());
  TACIT_TRY(const auto suite_bytes, in.u16_be());
  if (suite_bytes == 0 || suite_bytes % 4 != 0 || suite_bytes != in.remaining()) {
    return fail(Code::malformed, "suites of a key configuration");
  }
  while (!in.done()) {
    TACIT_TRY(const auto kdf, in.u16_be());
    TACIT_TRY(const auto aead, in.u16_be());
    const auto suite = crypto::HpkeSuite::parse(kem, kdf, aead);
    if (suite && suite->aead != crypto::AeadId::export_only) {
      config.suites.push_back({suite->kdf, suite->aead});
    }
  }
  TACIT_CHECK(crypto::KemPublicKey::parse(config.kem, config.public_key));
  return config;
}

Bytes encode_key_configs(const std::vector<KeyConfig>& configs) {
  ByteWriter out;
  for (const auto& config : configs) {
    const auto one = encode_key_config(config);
    out.u16_be(static_cast<std::uint16_t>(one.size()));
    out.raw(one);
  }
  return std::move(out).take();
}

Result<std::vector<KeyConfig>> parse_key_configs(BytesView bytes) {
  ByteReader in{bytes};
  std::vector<KeyConfig> configs;
  for (std::size_t i = 0; !in.done(); ++i) {
    if (i == kConfigsMax) return fail(Code::too_large, "list of key configurations");
    TACIT_TRY(const auto size, in.u16_be());
    TACIT_TRY(const auto one, in.take(size));
    auto config = parse_key_config(one);
    if (!config && config.error().code() == Code::unsupported) continue;
    if (!config) return fail(std::move(config).error());
    if (!config->suites.empty()) configs.push_back(*std::move(config));
  }
  return configs;
}

Bytes encode_request_header(std::uint8_t key_id, const crypto::HpkeSuite& suite) {
  ByteWriter out;
  out.u8(key_id);
  out.u16_be(static_cast<std::uint16_t>(suite.kem));
  out.u16_be(static_cast<std::uint16_t>(suite.kdf));
  out.u16_be(static_cast<std::uint16_t>(suite.aead));
  return std::move(out).take();
}

Result<RequestHeader> parse_request_header(BytesView bytes) {
  ByteReader in{bytes};
  RequestHeader header;
  TACIT_TRY(header.key_id, in.u8());
  TACIT_TRY(header.kem, in.u16_be());
  TACIT_TRY(header.kdf, in.u16_be());
  TACIT_TRY(header.aead, in.u16_be());
  if (!in.done()) return fail(Code::malformed, "request header");
  return header;
}

}  // namespace tacit::seal
