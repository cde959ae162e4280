// Revealing a prompt does not make it a log field either: a string_view may be anything.
// expect: no matching (constructor for initialization|member function for call to 'info')
#include "core/log.hpp"
#include "domain/content.hpp"

void log_it(tacit::Logger& log, const tacit::domain::Content& prompt) {
#ifdef TACIT_CONTROL
  log.info("request.done", {{"prompt_bytes", prompt.reveal().size()}});
#else
  log.info("request.done", {{"prompt", prompt.reveal()}});
#endif
}
