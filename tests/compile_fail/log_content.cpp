// A prompt or an answer is not a log field.
// expect: no matching (constructor for initialization|member function for call to 'info')
#include "core/log.hpp"
#include "domain/content.hpp"

void log_it(tacit::Logger& log, const tacit::domain::Content& prompt) {
#ifdef TACIT_CONTROL
  log.info("request.done", {{"prompt_bytes", prompt.size()}});
#else
  log.info("request.done", {{"prompt", prompt}});
#endif
}
