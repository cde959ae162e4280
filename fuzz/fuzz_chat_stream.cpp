// What a server streams back to `tacit run --via`: taken apart without harm, and nothing follows
// the last event. The input is the body of the stream.
#include <cstdlib>

#include "api/openai/chat_client.hpp"
#include "http/sse.hpp"

using namespace tacit;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  http::SseParser parser;
  api::openai::ChatStream stream;
  domain::EventBatch events;
  if (!parser.feed({reinterpret_cast<const char*>(data), size})) return 0;
  while (const auto event = parser.next()) {
    if (!stream.feed(event->data.reveal(), events)) break;
  }
  for (std::size_t i = 0; i < events.size(); ++i) {
    if (domain::is_last(events[i]) != (stream.finished() && i + 1 == events.size())) std::abort();
    const auto* text = std::get_if<domain::TextDelta>(&events[i]);
    if (text != nullptr && text->text.empty()) std::abort();
  }
  return 0;
}
