// The event stream of a generation: what every backend emits and every API renders.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "core/error.hpp"
#include "domain/content.hpp"

namespace tacit::domain {

enum class FinishReason : std::uint8_t {
  stop,    // the model ended, or a stop text was met
  length,  // max_tokens or the context's end
};

struct Usage {
  std::uint32_t prompt_tokens = 0;
  std::uint32_t cached_prompt_tokens = 0;  // of prompt_tokens, taken from a cache
  std::uint32_t completion_tokens = 0;
};

// Started is the first event: the prompt was accepted and is being computed.
struct Started {
  std::uint32_t prompt_tokens = 0;
};
// TextDelta is the next piece of the answer: whole UTF-8 characters, never empty.
struct TextDelta {
  Content text;
  std::uint32_t num_tokens = 1;  // how many tokens this piece stands for
};
// ReasoningDelta is the next piece of the model's reasoning; same rules.
struct ReasoningDelta {
  Content text;
  std::uint32_t num_tokens = 1;
};
// Finished is the last event of a generation that went well.
struct Finished {
  FinishReason reason = FinishReason::stop;
  Usage usage;
};
// Failed is the last event of a generation that did not.
struct Failed {
  Error error;
};

// Order: Started? (TextDelta | ReasoningDelta)* (Finished | Failed).
using Event = std::variant<Started, TextDelta, ReasoningDelta, Finished, Failed>;
using EventBatch = std::vector<Event>;

inline bool is_last(const Event& event) noexcept {
  return std::holds_alternative<Finished>(event) || std::holds_alternative<Failed>(event);
}

}  // namespace tacit::domain
