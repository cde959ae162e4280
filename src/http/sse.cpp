#include "http/sse.hpp"

#include <utility>

namespace tacit::http {

void append_sse_event(SecretText& out, std::string_view name, std::string_view data) {
  if (!name.empty()) {
    out.append("event: ");
    out.append(name);
    out.append("\n");
  }
  for (;;) {
    const auto end = data.find_first_of("\r\n");
    out.append("data: ");
    out.append(data.substr(0, end));
    out.append("\n");
    if (end == std::string_view::npos) break;
    const bool pair = data.substr(end).starts_with("\r\n");
    data.remove_prefix(end + (pair ? 2 : 1));
  }
  out.append("\n");
}

Result<void> SseParser::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    if (std::exchange(after_cr_, false) && bytes.front() == '\n') {
      bytes.remove_prefix(1);
      continue;
    }
    const auto end = bytes.find_first_of("\r\n");
    const auto text = bytes.substr(0, end);
    // Counted as the bytes come, so that the cut does not matter.
    event_bytes_ += text.size() + (end == std::string_view::npos ? 0 : 1);
    if (event_bytes_ > event_bytes_max_) {
      return fail(Error{Code::too_large, "server-sent event"}.with(
          "limit", static_cast<std::int64_t>(event_bytes_max_)));
    }
    if (end == std::string_view::npos) {
      line_.append(text);
      break;
    }
    after_cr_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    if (line_.empty()) {
      take_line(text);
    } else {
      line_.append(text);
      const auto line = std::exchange(line_, SecretText{});
      take_line(line.reveal());
    }
  }
  return {};
}

void SseParser::take_line(std::string_view line) {
  if (std::exchange(first_line_, false) && line.starts_with("\xEF\xBB\xBF")) line.remove_prefix(3);
  if (line.empty()) return dispatch();
  const auto colon = line.find(':');
  if (colon == 0) return;  // a comment
  const auto field = line.substr(0, colon);
  auto value = colon == std::string_view::npos ? std::string_view{} : line.substr(colon + 1);
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (field == "data") {
    if (has_data_) event_.data.append("\n");
    event_.data.append(value);
    has_data_ = true;
  } else if (field == "event") {
    event_.name = value;
  }
}

void SseParser::dispatch() {
  auto event = std::exchange(event_, Event{});
  event_bytes_ = 0;
  if (std::exchange(has_data_, false)) ready_.push_back(std::move(event));
}

std::optional<SseParser::Event> SseParser::next() {
  if (ready_.empty()) return std::nullopt;
  std::optional<Event> event{std::move(ready_.front())};
  ready_.pop_front();
  return event;
}

}  // namespace tacit::http
