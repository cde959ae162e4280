// Server-sent events (WHATWG HTML, section 9.2): sans-I/O encoder and parser.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "core/error.hpp"
#include "core/secret.hpp"

namespace tacit::http {

// SseParser turns body bytes, in any cut, into events. Comments are dropped, CR, LF and CRLF end
// lines. Content passes through, so buffers are wiped.
class SseParser {
 public:
  struct Event {
    std::string name;   // "" when unnamed ("message")
    SecretText data;    // lines joined by LF
  };
  explicit SseParser(std::size_t event_bytes_max = 1024 * 1024) : event_bytes_max_{event_bytes_max} {}
  // Errors: too_large (the parser is then of no more use).
  Result<void> feed(std::string_view bytes);
  // The next complete event.
  std::optional<Event> next();

 private:
  std::size_t event_bytes_max_;
  SecretText pending_;
  std::size_t scanned_ = 0;
};

}  // namespace tacit::http
