// What the sealed channel has once per server: its identity, its keys and the evidence about them.
// Thread-safe, but for what belongs to the shard that runs rotate_forever().
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "async/async.hpp"
#include "core/log.hpp"
#include "core/time.hpp"
#include "gateway/evidence_source.hpp"
#include "seal/ehbp.hpp"
#include "seal/key_ring.hpp"
#include "seal/ohttp.hpp"
#include "seal/replay_cache.hpp"
#include "seal/statement.hpp"

namespace tacit::gateway {

struct SealedOptions {
  std::filesystem::path identity_file;  // made when missing, readable by its owner only
  Seconds key_life{600};  // a key opens requests for so long; the next comes at half of it
  std::string software;   // in the statement
  seal::ReplayOptions replay;
  bool ohttp = false;  // Oblivious HTTP, too
  bool ehbp = false;   // EHBP, too
  // Who vouches for the machine; null: nobody. Outlives the service.
  EvidenceSource* source = nullptr;
};

class SealedService {
 public:
  // Errors: malformed (the identity file), permission, no_space, io.
  static Result<std::unique_ptr<SealedService>> open(SealedOptions options, const Clock& clock,
                                                     Logger& log);
  // With an identity from elsewhere.
  SealedService(SealedOptions options, seal::Identity identity, const Clock& clock, Logger& log);
  ~SealedService();

  // Makes keys at their times until cancelled.
  Task<> rotate_forever();
  // Makes the next key now.
  void rotate();

  // The evidence document without a bundle: all there is when nobody vouches for the machine.
  Bytes evidence(const seal::EvidenceNonce& nonce) const;
  // The whole document, with a bundle made for this nonce. From any shard. Errors: overloaded (too
  // many wait), those of the source, deadline_exceeded, cancelled.
  Async<Bytes> fresh_evidence(seal::EvidenceNonce nonce, Deadline deadline);
  std::string fingerprint() const { return identity_.public_key().fingerprint(); }
  seal::KeyRing& keys() noexcept { return keys_; }
  seal::ReplayCache& replays() noexcept { return replays_; }
  const Clock& clock() const noexcept { return clock_; }

  // The keys of Oblivious HTTP; null when it is not offered.
  seal::OhttpKeys* ohttp() noexcept { return ohttp_ ? &*ohttp_ : nullptr; }
  // The keys of EHBP; likewise.
  seal::KeyRing* ehbp() noexcept { return ehbp_ ? &*ehbp_ : nullptr; }
  // What was served under keys of other protocols than sealed HTTP, whose requests do not say when
  // they were made: remembered as long as their keys live.
  seal::ReplayCache& undated() noexcept { return undated_; }
  // How long a client may keep the configurations it got: they open requests for at least as long
  // again.
  Seconds configs_age_max() const noexcept { return options_.key_life / 4; }

 private:
  const SealedOptions options_;
  const seal::Identity identity_;
  const Clock& clock_;
  Logger& log_;
  seal::KeyRing keys_;
  seal::ReplayCache replays_;
  std::optional<seal::OhttpKeys> ohttp_;
  std::optional<seal::KeyRing> ehbp_;
  seal::ReplayCache undated_;
  mutable std::mutex mutex_;
  Bytes statement_;  // the current one; guarded by mutex_
  class Asking;
  std::unique_ptr<Asking> asking_;  // null without a source
};

}  // namespace tacit::gateway
