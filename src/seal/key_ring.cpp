#include "seal/key_ring.hpp"

#include <algorithm>

#include "crypto/random.hpp"

namespace tacit::seal {
namespace {

KeyConfig config_of(std::uint8_t id, const crypto::KemPrivateKey& key) {
  const auto bytes = key.public_bytes();
  return {id, key.id(), {bytes.begin(), bytes.end()}, {{kSealedSuite.kdf, kSealedSuite.aead}}};
}

}  // namespace

KeyRing::KeyRing() {
  // Numbers start anywhere, so that two processes behind one address seldom have the same.
  next_id_ = static_cast<std::uint8_t>(crypto::random_u64() | kSealedKeyIdMin);
  auto key = crypto::KemPrivateKey::generate(kSealedSuite.kem);
  auto config = config_of(0, key);
  decoy_ = std::make_unique<const SealedKey>(std::move(key), std::move(config));
}

KeyRing::Draft KeyRing::draft() {
  auto key = crypto::KemPrivateKey::generate(kSealedSuite.kem);
  const std::scoped_lock lock{mutex_};
  const auto id = next_id_;
  next_id_ = static_cast<std::uint8_t>((next_id_ + 1) | kSealedKeyIdMin);
  auto config = config_of(id, key);
  return {std::move(key), std::move(config)};
}

void KeyRing::add(SealedKey key, WallTime now) {
  auto shared = std::make_shared<const SealedKey>(std::move(key));
  const std::scoped_lock lock{mutex_};
  erase_old(now);
  std::erase_if(keys_,
                [&](const auto& old) { return old->config.key_id == shared->config.key_id; });
  keys_.push_back(std::move(shared));
}

std::shared_ptr<const SealedKey> KeyRing::find(std::uint8_t key_id, WallTime now) {
  const std::scoped_lock lock{mutex_};
  erase_old(now);
  const auto found =
      std::ranges::find_if(keys_, [&](const auto& key) { return key->config.key_id == key_id; });
  return found == keys_.end() ? nullptr : *found;
}

void KeyRing::erase_old(WallTime now) {
  std::erase_if(keys_, [now](const auto& key) { return key->not_after < now; });
}

}  // namespace tacit::seal
