#include "gateway/cache_salts.hpp"

#include <cstring>

#include "crypto/hash.hpp"
#include "crypto/random.hpp"

namespace tacit::gateway {
namespace {

constexpr std::size_t kSecretBytes = 32;

}  // namespace

CacheSalts::CacheSalts() : secret_{kSecretBytes} { crypto::random_bytes(secret_.reveal_mutable()); }

domain::CacheSalt CacheSalts::of(std::string_view tenant) const {
  const auto code = crypto::hmac_sha256(secret_.reveal(), as_bytes(tenant));
  domain::CacheSalt salt;
  static_assert(sizeof code >= sizeof salt);
  std::memcpy(salt.data(), code.data(), salt.size());
  return salt;
}

}  // namespace tacit::gateway
