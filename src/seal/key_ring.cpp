#include "seal/key_ring.hpp"

#include <algorithm>

#include "crypto/random.hpp"

namespace tacit::seal {
Result<crypto::HpkeReceiver> request_receiver(const crypto::HpkeSuite& suite, const SealedKey& key,
                                              BytesView enc, BytesView info) {
  auto receiver = crypto::HpkeReceiver::setup(suite, key.key, enc, info);
  if (receiver || receiver.error().code() != Code::malformed) return receiver;
  SecretBytes nothing{crypto::kem_sizes(suite.kem).shared_secret};
  crypto::random_bytes(nothing.reveal_mutable());
  return crypto::HpkeReceiver::from_secret(suite, nothing.reveal(), info);
}

KeyRing::KeyRing(KeyKind kind) : kind_{std::move(kind)} {
  // Numbers start anywhere, so that two processes behind one address seldom have the same.
  const auto ids = std::uint64_t{kind_.id_max} - kind_.id_min + 1;
  next_id_ = static_cast<std::uint8_t>(kind_.id_min + crypto::random_u64() % ids);
  auto key = crypto::KemPrivateKey::generate(kind_.kem);
  auto config = config_of(0, key);
  decoy_ = std::make_unique<const SealedKey>(std::move(key), std::move(config));
}

KeyConfig KeyRing::config_of(std::uint8_t id, const crypto::KemPrivateKey& key) const {
  const auto bytes = key.public_bytes();
  return {id, key.id(), {bytes.begin(), bytes.end()}, kind_.suites};
}

KeyRing::Draft KeyRing::draft() {
  auto key = crypto::KemPrivateKey::generate(kind_.kem);
  const std::scoped_lock lock{mutex_};
  const auto id = next_id_;
  next_id_ = id == kind_.id_max ? kind_.id_min : static_cast<std::uint8_t>(id + 1);
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

std::vector<std::shared_ptr<const SealedKey>> KeyRing::live(WallTime now) {
  const std::scoped_lock lock{mutex_};
  erase_old(now);
  return {keys_.rbegin(), keys_.rend()};
}

void KeyRing::erase_old(WallTime now) {
  std::erase_if(keys_, [now](const auto& key) { return key->not_after < now; });
}

}  // namespace tacit::seal
