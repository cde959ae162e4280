// Key configurations (RFC 9458 section 3): a public key, its number, and what it may be used with.
// The list of them is the media type application/ohttp-keys.
#pragma once

#include <cstdint>
#include <vector>

#include "core/bytes.hpp"
#include "crypto/hpke.hpp"

namespace tacit::seal {

struct SymmetricSuite {
  crypto::KdfId kdf = crypto::KdfId::hkdf_sha256;
  crypto::AeadId aead = crypto::AeadId::aes_128_gcm;
  friend bool operator==(const SymmetricSuite&, const SymmetricSuite&) = default;
};

struct KeyConfig {
  std::uint8_t key_id = 0;
  crypto::KemId kem = crypto::KemId::mlkem768_x25519;
  Bytes public_key;
  std::vector<SymmetricSuite> suites;  // of which we know both parts; may be empty after parsing

  friend bool operator==(const KeyConfig&, const KeyConfig&) = default;
};

// One configuration, without a length before it.
Bytes encode_key_config(const KeyConfig& config);
// A configuration of a KEM that we offer. Errors: malformed, unsupported.
Result<KeyConfig> parse_key_config(BytesView bytes);

// application/ohttp-keys: each with a 16-bit length. Configurations of unknown KEMs, or with no
// suite we know, are left out of what is parsed. Errors: malformed; too_large over 16 of them.
Bytes encode_key_configs(const std::vector<KeyConfig>& configs);
Result<std::vector<KeyConfig>> parse_key_configs(BytesView bytes);

// The seven bytes before every encapsulated request (RFC 9458 section 4.3).
inline constexpr std::size_t kRequestHeaderBytes = 7;
struct RequestHeader {
  std::uint8_t key_id = 0;
  std::uint16_t kem = 0;
  std::uint16_t kdf = 0;
  std::uint16_t aead = 0;
};
Bytes encode_request_header(std::uint8_t key_id, const crypto::HpkeSuite& suite);
// Error: malformed for another size.
Result<RequestHeader> parse_request_header(BytesView bytes);

}  // namespace tacit::seal
