// The server's keys of one kind: each lives for a short while, overlaps with the next, and is
// erased. Private keys exist in this process's memory only. Thread-safe.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "core/time.hpp"
#include "crypto/kem.hpp"
#include "seal/sealed.hpp"

namespace tacit::seal {

// SealedKey opens requests. What the client read about it is bound by `binding` (empty for keys of
// other protocols than ours).
struct SealedKey {
  crypto::KemPrivateKey key;
  KeyConfig config;
  Binding binding;
  WallTime not_before;
  WallTime not_after;  // no request opens later
};

// The HPKE context of a request in base mode; of a random secret when `enc` is none, so that the
// steps that follow are the same. Errors: invalid_argument when the suite is not of the key's KEM;
// too_large for an `info` over kHpkeInputBytesMax.
Result<crypto::HpkeReceiver> request_receiver(const crypto::HpkeSuite& suite, const SealedKey& key,
                                              BytesView enc, BytesView info);

// KeyKind says what the keys of a ring are for, and which numbers they have.
struct KeyKind {
  crypto::KemId kem = kSealedSuite.kem;
  std::vector<SymmetricSuite> suites{{kSealedSuite.kdf, kSealedSuite.aead}};
  std::uint8_t id_min = kSealedKeyIdMin;
  std::uint8_t id_max = 0xff;
};

class KeyRing {
 public:
  explicit KeyRing(KeyKind kind = {});

  const KeyKind& kind() const noexcept { return kind_; }

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
  // All keys that are not past their time, the newest first.
  std::vector<std::shared_ptr<const SealedKey>> live(WallTime now);
  // A key under which nothing opens, for requests under an unknown one: they must cost the same.
  const SealedKey& decoy() const noexcept { return *decoy_; }

 private:
  KeyConfig config_of(std::uint8_t id, const crypto::KemPrivateKey& key) const;
  void erase_old(WallTime now);
  const KeyKind kind_;
  std::mutex mutex_;  // held for a look-up in a list of a few
  std::vector<std::shared_ptr<const SealedKey>> keys_;
  std::uint8_t next_id_;
  std::unique_ptr<const SealedKey> decoy_;
};

}  // namespace tacit::seal
