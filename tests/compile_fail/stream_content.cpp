// Content has no stream operator.
// expect: invalid operands to binary expression
#include <ostream>

#include "domain/content.hpp"

void print(std::ostream& out, const tacit::domain::Content& prompt) {
#ifdef TACIT_CONTROL
  out << prompt.size();
#else
  out << prompt;
#endif
}
