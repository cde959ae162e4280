// Server-sent events (WHATWG HTML, section 9.2): sans-I/O encoder and parser.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "core/error.hpp"
#include "core/secret.hpp"

namespace tacit::http {

// append_sse_event appends one event to `out`: `name` (no line ends; left out when empty), and
// `data`, each of whose lines (ended by LF, CR or CRLF) becomes a data line.
void append_sse_event(SecretText& out, std::string_view name, std::string_view data);

// SseParser turns body bytes, in any cut, into events. Comments, ids and retry times are dropped;
// CR, LF and CRLF end lines; a byte order mark at the start is skipped; an event without data is
// none; one that is not ended by an empty line never comes out. Content passes through, so buffers
// are wiped.
class SseParser {
 public:
  struct Event {
    std::string name;  // "" when unnamed ("message")
    SecretText data;   // lines joined by LF
  };
  // `event_bytes_max` bounds one event with its field names, and any line.
  explicit SseParser(std::size_t event_bytes_max = 1024 * 1024)
      : event_bytes_max_{event_bytes_max} {}
  // Errors: too_large (the parser is then of no more use).
  Result<void> feed(std::string_view bytes);
  // The next complete event.
  std::optional<Event> next();

 private:
  void take_line(std::string_view line);
  void dispatch();

  std::size_t event_bytes_max_;
  SecretText line_;  // the start of a line whose end has not come
  Event event_;      // being built
  std::size_t event_bytes_ = 0;
  std::deque<Event> ready_;
  bool has_data_ = false;
  bool first_line_ = true;
  bool after_cr_ = false;  // a LF now belongs to the CR before it
};

}  // namespace tacit::http
