// The event stream of a generation: what every backend emits and every API renders.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/error.hpp"
#include "domain/content.hpp"

namespace tacit::domain {

enum class FinishReason : std::uint8_t {
  stop,        // the model ended, or a stop text was met
  length,      // max_tokens or the context's end
  tool_calls,  // the model ended with at least one tool call
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
// TokenLogprob is one token with its log-probability before sampling (softmax of the logits).
struct TokenLogprob {
  std::int32_t token = 0;
  Content bytes;                       // may be a part of a character
  float logprob = 0;                   // natural logarithm, at most 0
  std::vector<TokenLogprob> top = {};  // the most likely tokens, best first; empty inside `top`
};
// TextDelta is the next piece of the answer: whole UTF-8 characters, never empty.
struct TextDelta {
  Content text;
  std::uint32_t num_tokens = 1;             // how many tokens this piece stands for
  std::vector<TokenLogprob> logprobs = {};  // of those tokens, when asked for
};
// ReasoningDelta is the next piece of the model's reasoning; same rules.
struct ReasoningDelta {
  Content text;
  std::uint32_t num_tokens = 1;
};
// ToolCallDelta is the next piece of a tool call. Calls come one after the other; the first piece
// of each has its id and name, and `arguments` of all its pieces together are JSON.
struct ToolCallDelta {
  std::uint32_t index = 0;  // 0, 1...
  std::string id = {};
  std::string name = {};
  Content arguments = {};
  std::uint32_t num_tokens = 1;
};
// TokensDelta is the next piece of a tokenized prompt (Purpose::tokenize).
struct TokensDelta {
  std::vector<std::int32_t> tokens;
};
// VectorDelta is the next piece of an embedding (Purpose::embed).
struct VectorDelta {
  std::vector<float> values;
};
// Finished is the last event of a generation that went well.
struct Finished {
  FinishReason reason = FinishReason::stop;
  Usage usage;
  // Which of the request's stop texts was met.
  std::optional<std::uint32_t> stop_index = {};
};
// Failed is the last event of a generation that did not.
struct Failed {
  Error error;
};

// Order: Started? (TextDelta | ReasoningDelta | ToolCallDelta)* (Finished | Failed).
using Event = std::variant<Started, TextDelta, ReasoningDelta, ToolCallDelta, TokensDelta,
                           VectorDelta, Finished, Failed>;
using EventBatch = std::vector<Event>;

// Everything that carries some of the answer; the other events only frame it.
inline bool is_delta(const Event& event) noexcept {
  return !std::holds_alternative<Started>(event) && !std::holds_alternative<Finished>(event) &&
         !std::holds_alternative<Failed>(event);
}

inline bool is_last(const Event& event) noexcept {
  return std::holds_alternative<Finished>(event) || std::holds_alternative<Failed>(event);
}

}  // namespace tacit::domain
