// What makes evidence about this machine: one interface over the hardware that can vouch for it.
//
// Everything here blocks: asking hardware takes from a millisecond (SEV-SNP) to most of a second (a
// discrete TPM). Call it on a thread that may wait, never on a shard. Objects are thread-safe; they
// answer one question at a time.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "attest/bundle.hpp"
#include "core/bytes.hpp"
#include "core/error.hpp"
#include "seal/statement.hpp"

namespace tacit::attester {

using attest::Digest32;

// Attested is one answer of the hardware: evidence in a form that attest::appraise() reads, and
// what this machine has that vouches for it.
struct Attested {
  Bytes evidence;
  std::vector<Bytes> collateral;  // certificates
  std::vector<Bytes> event_logs;  // what was measured, as firmware and kernel noted it
};

class Attester {
 public:
  virtual ~Attester() = default;
  virtual seal::Attester kind() const = 0;
  // Evidence that is bound to `data`. Errors: unavailable (the hardware did not answer), malformed
  // (it answered nonsense), permission, io.
  virtual Result<Attested> attest(const Digest32& data) = 0;
};
using AttesterPtr = std::unique_ptr<Attester>;

// DeviceAttester asks devices that compute for the machine: GPUs and switches.
class DeviceAttester {
 public:
  virtual ~DeviceAttester() = default;
  // One piece of evidence for each device, or for all of them. Errors: as Attester.
  virtual Result<std::vector<Bytes>> attest(const Digest32& nonce) = 0;
};
using DeviceAttesterPtr = std::unique_ptr<DeviceAttester>;

}  // namespace tacit::attester
