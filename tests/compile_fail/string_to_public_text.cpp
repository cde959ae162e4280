// PublicText is a promise, and so is never made implicitly.
// expect: no viable conversion from (returned value of type )?'const std::string'
#include <string>

#include "core/error.hpp"

tacit::PublicText promise(const std::string& text) {
#ifdef TACIT_CONTROL
  return tacit::PublicText{text};
#else
  return text;
#endif
}
