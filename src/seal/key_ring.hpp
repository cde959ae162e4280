// The server's keys: each lives for a short while, overlaps with the next, and is erased. Private
// keys exist in this process's memory only. Thread-safe.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "core/time.hpp"
#include "crypto/kem.hpp"
#include "seal/sealed.hpp"

namespace tacit::seal {

// SealedKey opens requests. What the client read about it is bound by `binding`.
struct SealedKey {
  crypto::KemPrivateKey key;
  KeyConfig config;
  Binding binding;
  WallTime not_before;
  WallTime not_after;  // no request opens later
};

class KeyRing {
 public:
  KeyRing();

  // Makes the next key pair and its configuration, with a number that no live key has. The caller
  // makes the statement about it, then add()s it.
  struct Draft {
    crypto::KemPrivateKey key;
    KeyConfig config;
  };
  Draft draft();
  // From now on requests under this key open. Keys past their time are erased.
  void add(SealedKey key, WallTime now);

  // The key of that number, unless past its time. Whoever holds it for one request keeps it alive
  // meanwhile.
  std::shared_ptr<const SealedKey> find(std::uint8_t key_id, WallTime now);
  // A key under which nothing opens, for requests under an unknown one: they must cost the same.
  const SealedKey& decoy() const noexcept { return *decoy_; }

 private:
  void erase_old(WallTime now);
  std::mutex mutex_;  // held for a look-up in a list of a few
  std::vector<std::shared_ptr<const SealedKey>> keys_;
  std::uint8_t next_id_ = kSealedKeyIdMin;
  std::unique_ptr<const SealedKey> decoy_;
};

}  // namespace tacit::seal
