// The salt that divides the engine's cache of computed prompts between tenants.
#pragma once

#include <string_view>

#include "core/secret.hpp"
#include "domain/request.hpp"

namespace tacit::gateway {

// CacheSalts derives a tenant's salt from the id of its key, with HMAC-SHA-256 (RFC 2104) under a
// secret that is drawn at start and never leaves this object: neither a caller nor a worker can
// make another tenant's salt, and salts mean nothing after a restart. Where keys are off all
// callers are one tenant, the empty id. Thread-safe.
class CacheSalts {
 public:
  CacheSalts();
  domain::CacheSalt of(std::string_view tenant) const;

 private:
  SecretBytes secret_;
};

}  // namespace tacit::gateway
