// Private to openai: pieces of its wire format that several of its endpoints share.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "api/fields.hpp"
#include "api/generation.hpp"
#include "api/json_text.hpp"
#include "domain/event.hpp"
#include "domain/request.hpp"

namespace tacit::api::openai {

// "stop", "length" or "tool_calls".
std::string_view finish_word(domain::FinishReason reason) noexcept;
// {"prompt_tokens":...}
void append_usage(JsonText& out, const domain::Usage& usage);
// Elements of logprobs.content, separated by commas.
void append_logprobs(SecretText& out, const std::vector<domain::TokenLogprob>& logprobs);

// A string, or an array of parts whose `type` is one of `text_kinds` or "refusal"; their texts,
// joined. Must be there.
Result<domain::Content> read_parts(const Field& field,
                                   std::span<const std::string_view> text_kinds);
// tool_choice: a word, a named tool, or the tools that are allowed, as Chat Completions or
// Responses has it. After the tools were read.
Result<void> read_tool_choice(const Field& field, domain::GenerateRequest& request);
// "none", "auto", "minimal"...
Result<domain::Effort> read_effort(const Field& field);
// {"<token>": bias}
Result<std::vector<domain::LogitBias>> read_logit_bias(const Field& field);
// stream_options.include_usage
Result<bool> read_include_usage(const boost::json::object& root, bool stream);
// The schema of a response_format (or text.format) as constraint. `named`: the schema and its name
// are members of an object "json_schema", as Chat Completions has it.
Result<domain::Constraint> read_format(const Field& field, bool named);

}  // namespace tacit::api::openai
