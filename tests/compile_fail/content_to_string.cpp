// Content does not turn into a string by itself: reveal() is where one has to say so.
// expect: no viable conversion from (returned value of type )?'const .*(Content|SecretText)
#include <string>

#include "domain/content.hpp"

std::string copy_out(const tacit::domain::Content& prompt) {
#ifdef TACIT_CONTROL
  return std::string{prompt.reveal()};
#else
  return prompt;
#endif
}
