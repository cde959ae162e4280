#include "engine/wire_error.hpp"

#include <span>

namespace tacit::engine {
namespace {

struct Row {
  Code code;
  Literal what;
  Literal first = "";  // names of the figures
  Literal second = "";
  Literal fix = "";
};

constexpr Literal kPullAgain = "Pull the model again";

// Append only: a row's place is its number on the wire. The first rows are the general ones.
constexpr Row kRows[] = {
    {Code::internal, "engine failure"},
    {Code::invalid_argument, "request refused by the engine"},
    {Code::malformed, "model file is malformed", "", "", kPullAgain},
    {Code::unsupported, "not supported by the engine"},
    {Code::too_large, "over a limit of the engine"},
    {Code::unavailable, "engine worker could not start"},
    {Code::io, "engine worker failed to read"},
    {Code::overloaded, "engine is overloaded"},
    {Code::cancelled, "generation cancelled"},
    {Code::shutting_down, "engine worker is shutting down"},
    // Requests.
    {Code::context_exceeded, "prompt does not fit the model's context", "tokens", "limit",
     "Shorten the conversation, or load the model with a larger context"},
    {Code::overloaded, "engine queue is full", "waiting", "limit", "Retry later"},
    {Code::overloaded, "engine holds too many prompt bytes", "bytes", "limit", "Retry later"},
    {Code::invalid_argument, "the model's chat template refused the conversation"},
    {Code::invalid_argument, "prompt is empty"},
    {Code::internal, "decoding failed"},
    {Code::internal, "tokenizing failed"},
    {Code::too_large, "out of memory in the engine worker"},
    // Loading: what our own reader of GGUF says (formats/gguf.cpp).
    {Code::malformed, "not a GGUF file", "file_bytes", "", kPullAgain},
    {Code::malformed, "truncated: the header goes on past the end of the file", "file_bytes", "at",
     kPullAgain},
    {Code::malformed, "tensor data runs past the end of the file", "ends_at", "file_bytes",
     kPullAgain},
    {Code::malformed, "a string is longer than the rest of the file", "bytes", "at", kPullAgain},
    {Code::malformed, "a tensor is larger than the whole file", "blocks", "file_bytes", kPullAgain},
    {Code::malformed, "a tensor's dimension is zero or far too large", "size", "", kPullAgain},
    {Code::malformed, "a tensor's row is not a whole number of blocks", "row", "block", kPullAgain},
    {Code::malformed, "a tensor's data is misaligned", "offset", "alignment", kPullAgain},
    {Code::malformed, "two tensors overlap", "offset", "end_of_previous", kPullAgain},
    {Code::malformed, "two tensors have the same name", "", "", kPullAgain},
    {Code::malformed, "two metadata keys are the same", "", "", kPullAgain},
    {Code::unsupported, "this version of GGUF is not supported", "version", "",
     "Versions 2 and 3 are; convert the model again with a current tool"},
    {Code::unsupported, "a big-endian GGUF file", "", "", "Convert it to little-endian"},
    {Code::unsupported, "unknown type of tensor", "type"},
    // Loading: what llama.cpp says (load_error.cpp).
    {Code::malformed, "model metadata is invalid", "", "", kPullAgain},
    {Code::malformed, "model tensors are invalid", "", "", kPullAgain},
    {Code::malformed, "model vocabulary is invalid"},
    {Code::malformed, "model lacks a tensor of its architecture"},
    {Code::malformed, "model lacks metadata of its architecture"},
    {Code::unsupported, "model architecture is unknown to this engine"},
    {Code::unsupported, "model's tokenizer is unknown to this engine"},
    {Code::unsupported, "model is split over several files", "", "",
     "Merge its parts into one GGUF file"},
    {Code::unsupported, "model cannot generate text"},
    {Code::too_large, "not enough memory to load the model", "bytes", "",
     "Free memory, or choose a smaller model"},
    {Code::too_large, "not enough memory for the model's context", "tokens", "",
     "Ask for a smaller context or fewer sequences"},
    {Code::unavailable, "model could not be loaded"},
    // Starting.
    {Code::internal, "sandbox could not be entered", "wall"},
    {Code::invalid_argument, "worker arguments are invalid"},
    // Requests, since version 2 of the protocol.
    {Code::invalid_argument, "prompt has a token that the model does not know"},
    {Code::invalid_argument, "logit bias for a token that the model does not know"},
    {Code::invalid_argument, "grammar is not understood"},
    {Code::invalid_argument, "grammar is nested too deeply"},
    {Code::invalid_argument, "the JSON schema is not understood"},
    {Code::invalid_argument, "the schema or grammar is not understood"},
    {Code::internal, "sampling failed"},
    {Code::too_large, "text is too long to be tokenized", "bytes", "limit"},
    {Code::too_large, "text is too long to be returned", "pieces", "limit"},
    {Code::invalid_argument,
     "the chat template or the schema of a tool or format is not understood"},
    // Since version 3.
    {Code::deadline_exceeded, "the generation took too long"},
    {Code::too_large, "model does not fit into memory", "needed_bytes", "free_bytes",
     "`tacit plan` shows the parts: take a smaller --context or --parallel, another --kv-type or a "
     "smaller model"},
};

}  // namespace

WireError to_wire(const Error& error) noexcept {
  const std::span rows{kRows};
  std::uint16_t general = 0;
  bool found_general = false;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].code != error.code()) continue;
    if (rows[i].what.text == error.what()) {
      return {static_cast<std::uint16_t>(i),
              {error.value(rows[i].first.text), error.value(rows[i].second.text)}};
    }
    if (!found_general) {
      general = static_cast<std::uint16_t>(i);
      found_general = true;
    }
  }
  return {general, {}};
}

Result<Error> from_wire(const WireError& wire) {
  const std::span rows{kRows};
  if (wire.row >= rows.size())
    return fail(Error{Code::malformed, "unknown error row"}.with("row", wire.row));
  const auto& row = rows[wire.row];
  if ((row.first.text.empty() && wire.values[0] != 0) ||
      (row.second.text.empty() && wire.values[1] != 0)) {
    return fail(
        Error{Code::malformed, "figure that the error's row does not have"}.with("row", wire.row));
  }
  Error error{row.code, row.what};
  if (!row.first.text.empty()) error = std::move(error).with(row.first, wire.values[0]);
  if (!row.second.text.empty()) error = std::move(error).with(row.second, wire.values[1]);
  if (!row.fix.text.empty()) error = std::move(error).fix(row.fix);
  return error;
}

std::size_t wire_error_rows() noexcept { return std::size(kRows); }

}  // namespace tacit::engine
