// Secrets are compared in constant time or not at all.
// expect: invalid operands to binary expression
#include "core/secret.hpp"

bool same(const tacit::SecretBytes& a, const tacit::SecretBytes& b) {
#ifdef TACIT_CONTROL
  return tacit::constant_time_equal(a.reveal(), b.reveal());
#else
  return a == b;
#endif
}
