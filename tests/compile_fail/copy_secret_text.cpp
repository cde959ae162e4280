// Secret text has one way to be copied, and that is easy to find: clone().
// expect: call to deleted constructor of 'tacit::SecretText'
#include "core/secret.hpp"

tacit::SecretText twin(const tacit::SecretText& text) {
#ifdef TACIT_CONTROL
  return text.clone();
#else
  return text;
#endif
}
