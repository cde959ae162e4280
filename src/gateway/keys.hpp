// API keys: who may ask. Keys are shown once and stored as SHA-256 digests.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/secret.hpp"
#include "core/time.hpp"
#include "seal/sealed.hpp"
#include "store/database.hpp"

namespace tacit::gateway {

// Principal is a caller that proved a key.
struct Principal {
  std::string key_id;  // "key_1a2b3c4d"; the tenant id downstream
};

struct KeyRecord {
  std::string id;
  std::string name;
  std::int64_t created_unix_s = 0;
  std::optional<std::int64_t> revoked_unix_s;
};

// KeyStore owns the table of keys in state.db. Thread-safe. A key is "tk-" and 43 base64url
// characters (32 random bytes), so that a plain SHA-256 is a safe way to store it.
class KeyStore {
 public:
  // Errors: as store::Database::open.
  static Result<std::unique_ptr<KeyStore>> open(const std::filesystem::path& database,
                                                const Clock& clock);

  struct Created {
    KeyRecord record;
    SecretText key;  // the only time it is seen
  };
  // `name` is the operator's note, at most 100 bytes of printable UTF-8. Errors: invalid_argument,
  // io...
  Result<Created> create(std::string_view name);
  Result<std::vector<KeyRecord>> list();
  // Errors: not_found.
  Result<void> revoke(std::string_view id);

  // Reads the table again when another process changed it; returns whether it did. Cheap when
  // nothing changed. Called once a second by the server, and by KeyView on an unknown key.
  Result<bool> refresh();

 private:
  friend class KeyView;
  struct Snapshot {
    std::unordered_map<std::string, Principal> by_digest;  // raw SHA-256 of a key to its owner
    std::unordered_map<std::string, std::string> by_psk;   // raw PSK id to that digest
  };
  KeyStore(std::unique_ptr<store::Database> database, const Clock& clock);
  Result<void> reload();
  std::shared_ptr<const Snapshot> snapshot() const;

  std::unique_ptr<store::Database> database_;
  const Clock& clock_;
  mutable std::mutex mutex_;  // guards the two below; never taken by a request with a known key
  std::shared_ptr<const Snapshot> snapshot_ = std::make_shared<Snapshot>();
  std::int64_t data_version_ = -1;
  std::atomic<std::uint64_t> generation_{0};  // counts reloads
};

// KeyView is one shard's lock-free view of the store.
class KeyView {
 public:
  KeyView(KeyStore& store, const Clock& clock);
  // The owner of `key`; nullopt when unknown or revoked.
  std::optional<Principal> verify(std::string_view key);
  // The owner of the key with this PSK id, and the PSK; nullopt when unknown or revoked. Known or
  // not, it costs the same.
  struct Sealed {
    Principal owner;
    SecretBytes psk;
  };
  std::optional<Sealed> find_sealed(const seal::PskId& id);

 private:
  void update();
  KeyStore& store_;
  const Clock& clock_;
  std::shared_ptr<const KeyStore::Snapshot> snapshot_;
  std::uint64_t seen_ = 0;
  SteadyTime next_sealed_refresh_{};
  SteadyTime next_refresh_{};  // unknown keys may cause a look into the database only so often
};

}  // namespace tacit::gateway
