// Nor by assignment.
// expect: overload resolution selected deleted operator '='
#include <utility>

#include "core/secret.hpp"

void keep(tacit::SecretBytes& slot, tacit::SecretBytes& key) {
#ifdef TACIT_CONTROL
  slot = std::move(key);
#else
  slot = key;
#endif
}
