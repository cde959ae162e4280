// A run-time string is not a log field; somebody has to vouch for it as PublicText.
// expect: no matching (constructor for initialization|member function for call to 'info')
#include <string>

#include "core/log.hpp"

void log_it(tacit::Logger& log, const std::string& text) {
#ifdef TACIT_CONTROL
  log.info("model.loaded", {{"model", tacit::PublicText{text}}});
#else
  log.info("model.loaded", {{"model", text}});
#endif
}
