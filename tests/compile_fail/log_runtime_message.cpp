// The message of a record is a literal.
// expect: no matching member function for call to 'warning'|no viable conversion
#include <string>

#include "core/log.hpp"

void log_it(tacit::Logger& log, const std::string& text) {
#ifdef TACIT_CONTROL
  log.warning("request.refused", {{"bytes", text.size()}});
#else
  log.warning(text);
#endif
}
