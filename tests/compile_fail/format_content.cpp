// Content has no formatter.
// expect: call to deleted constructor of .*fallback_formatter|formattable|Cannot format
#include <string>

#include <fmt/format.h>

#include "domain/content.hpp"

std::string render(const tacit::domain::Content& prompt) {
#ifdef TACIT_CONTROL
  return fmt::format("{} bytes", prompt.size());
#else
  return fmt::format("{}", prompt);
#endif
}
