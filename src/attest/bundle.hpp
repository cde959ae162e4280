// The evidence bundle: everything that vouches for a server, in one piece, so that a client decides
// with no network of its own. docs/spec/evidence.md has the bytes.
//
// What the hardware signs is report_data(): one value over the client's nonce, the server's signed
// statement (with its keys), the evidence of devices, the operator's policy and the served models.
// Collateral and event logs are not in it: their own signatures, or the measured registers, prove
// them.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "attest/appraise.hpp"
#include "core/bytes.hpp"
#include "core/error.hpp"

namespace tacit::attest {

inline constexpr std::size_t kBundleBytesMax = 8 * 1024 * 1024;
inline constexpr std::size_t kBundleItemsMax = 256;
inline constexpr std::size_t kBundleDevicesMax = 32;
inline constexpr std::size_t kBundleLogsMax = 4;
inline constexpr std::size_t kBundleModelsMax = 128;
inline constexpr std::size_t kOperatorPolicyBytesMax = 16 * 1024;
inline constexpr std::size_t kModelNameBytesMax = 256;

using Digest32 = std::array<std::byte, 32>;

// ServedModel is a model that the server may answer with: the SHA-256 of its weights file.
struct ServedModel {
  std::string name;  // printable ASCII
  Digest32 sha256{};
  friend bool operator==(const ServedModel&, const ServedModel&) = default;
};

struct Bundle {
  Bytes hardware;  // one piece of evidence, of the kind that the statement names
  std::vector<Bytes> devices;
  std::vector<Bytes> collateral;
  std::vector<Bytes> event_logs;
  std::string policy;  // the operator's, for people and by digest; UTF-8
  std::vector<ServedModel> models;
  friend bool operator==(const Bundle&, const Bundle&) = default;
};

// The items in one order: what parse_bundle() takes back. Precondition: within the limits above.
Bytes encode_bundle(const Bundle& bundle);
// Errors: malformed (order, lengths, names, bytes after it), too_large, unsupported (version).
Result<Bundle> parse_bundle(BytesView bytes);

// What a device is asked to sign: the client's nonce and the statement, under another label.
Digest32 device_nonce(const Digest32& nonce, const Digest32& statement_digest);
// What the CPU's hardware, or the TPM, is asked to sign.
Digest32 report_data(const Digest32& nonce, const Digest32& statement_digest, const Bundle& bundle);

// BundleQuestion is what a relying party asks of a bundle. Borrows everything.
struct BundleQuestion {
  const Bundle& bundle;
  // The kinds of evidence that the statement's attester stands for, such as "tdx".
  std::string_view kind;
  const Digest32& nonce;
  const Digest32& statement_digest;
  const Policy& policy;
  UnixTime now;
  std::span<const Input> collateral = {};  // beside the bundle's own
};

// Judges hardware, devices, binding, models and operator's policy together. Never accepts a bundle
// whose hardware evidence is of another kind, or is bound to anything else.
Answer appraise_bundle(const BundleQuestion& question);
Answer appraise_bundle(const BundleQuestion& question, SignatureMemory& memory);

}  // namespace tacit::attest
