// A prompt that is passed by value is moved.
// expect: call to deleted constructor of .*(Content|SecretText)
#include <utility>

#include "domain/content.hpp"

void consume(tacit::domain::Content prompt);

void pass(tacit::domain::Content& prompt) {
#ifdef TACIT_CONTROL
  consume(std::move(prompt));
#else
  consume(prompt);
#endif
}
