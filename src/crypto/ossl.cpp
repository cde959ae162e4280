#include "crypto/ossl.hpp"

#include <unistd.h>

#include <cstdlib>

namespace tacit::crypto {

void must(bool ok, Literal call) noexcept {
  if (ok) return;
  constexpr std::string_view prefix = "tacit: OpenSSL failed in ";
  // Best effort: the process ends either way.
  if (::write(STDERR_FILENO, prefix.data(), prefix.size()) > 0 &&
      ::write(STDERR_FILENO, call.text.data(), call.text.size()) > 0) {
    static_cast<void>(!::write(STDERR_FILENO, "\n", 1));
  }
  std::abort();
}

}  // namespace tacit::crypto
