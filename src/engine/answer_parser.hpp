// From the text of an answer to its parts: answer, reasoning, tool calls.
#pragma once

#include <string_view>
#include <vector>

#include "domain/event.hpp"

namespace tacit::engine {

// AnswerParser is fed the text of one answer. What it adds to `out` are TextDelta, ReasoningDelta
// and ToolCallDelta of any size. It never fails: what follows no format is text. Not thread-safe.
class AnswerParser {
 public:
  virtual ~AnswerParser() = default;
  virtual void feed(std::string_view text, std::vector<domain::Event>& out) = 0;
  // Nothing more will come. `cut_off`: the answer was not ended by the model.
  virtual void finish(bool cut_off, std::vector<domain::Event>& out) = 0;
  // Whether a tool call has been found.
  virtual bool found_tool_call() const noexcept = 0;
};

}  // namespace tacit::engine
