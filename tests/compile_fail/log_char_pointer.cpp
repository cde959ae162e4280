// A run-time char pointer converts neither to a literal nor, through bool, to a number.
// expect: consteval function 'tacit::Literal::Literal' is not a constant expression
#include "core/log.hpp"

void log_it(tacit::Logger& log, const char* text) {
#ifdef TACIT_CONTROL
  log.info("request.done", {{"given", text != nullptr}});
#else
  log.info("request.done", {{"text", text}});
#endif
}
