// Server-sent events: the cut of the input does not matter, and what comes out can be encoded and
// parsed again without a change.
#include <algorithm>
#include <string>
#include <vector>

#include "fuzz.hpp"
#include "http/sse.hpp"

namespace {

using tacit::http::append_sse_event;
using tacit::http::SseParser;

constexpr std::size_t kEventMax = 1000;

struct Outcome {
  bool failed = false;
  std::vector<std::pair<std::string, std::string>> events;
};

Outcome parse(std::string_view in, std::size_t step, std::size_t event_max) {
  Outcome out;
  SseParser parser{event_max};
  for (std::size_t at = 0; at < in.size() && !out.failed; at += step) {
    out.failed = !parser.feed(in.substr(at, step));
    while (auto event = parser.next()) {
      FUZZ_CHECK(event->data.size() <= event_max);
      out.events.emplace_back(event->name, event->data.reveal());
    }
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view in{reinterpret_cast<const char*>(data), size};
  const auto whole = parse(in, std::max<std::size_t>(size, 1), kEventMax);
  for (const std::size_t step : {1U, 2U, 13U}) {
    const auto cut = parse(in, step, kEventMax);
    FUZZ_CHECK(cut.failed == whole.failed);
    FUZZ_CHECK(cut.events == whole.events);
  }
  tacit::SecretText wire;
  for (const auto& [name, text] : whole.events) append_sse_event(wire, name, text);
  const auto again = parse(wire.reveal(), 5, 1'000'000);
  FUZZ_CHECK(!again.failed);
  FUZZ_CHECK(again.events == whole.events);
  return 0;
}
