// Key material is moved, never copied.
// expect: call to deleted constructor of 'tacit::SecretBytes'
#include <utility>

#include "core/secret.hpp"

tacit::SecretBytes take(tacit::SecretBytes& key) {
#ifdef TACIT_CONTROL
  return std::move(key);
#else
  return key;
#endif
}
