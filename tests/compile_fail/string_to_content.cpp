// Nor the other way round: whoever makes content out of a string says so.
// expect: no viable conversion from .* to .*(Content|SecretText)|no viable constructor
#include <string>

#include "domain/content.hpp"

tacit::domain::Content wrap(const std::string& text) {
#ifdef TACIT_CONTROL
  return tacit::domain::Content{text};
#else
  return text;
#endif
}
