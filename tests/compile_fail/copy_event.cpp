// Nor is a piece of an answer.
// expect: uses deleted function|call to .*deleted .*constructor
#include <utility>

#include "domain/event.hpp"

tacit::domain::Event twin(tacit::domain::Event& event) {
#ifdef TACIT_CONTROL
  return std::move(event);
#else
  return tacit::domain::Event(event);
#endif
}
