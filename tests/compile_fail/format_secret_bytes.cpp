// Key material has no formatter.
// expect: call to deleted constructor of .*fallback_formatter|formattable|Cannot format
#include <string>

#include <fmt/format.h>

#include "core/secret.hpp"

std::string render(const tacit::SecretBytes& key) {
#ifdef TACIT_CONTROL
  return fmt::format("{} bytes", key.size());
#else
  return fmt::format("{}", key);
#endif
}
