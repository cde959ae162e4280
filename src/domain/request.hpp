// A generation request, free of any wire format. Every API parses into this; every backend reads
// it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "domain/content.hpp"

namespace tacit::domain {

enum class Role : std::uint8_t { system, user, assistant, tool };

// ToolCall is what an assistant asked for in an earlier turn.
struct ToolCall {
  std::string id;     // as the caller knows it; may be empty
  std::string name;   // of the tool
  Content arguments;  // JSON text
};

// Message is one turn. Text parts are joined; a part that is no text is refused by the API's parser
// as long as no engine can take it.
struct Message {
  Role role = Role::user;
  Content content = {};
  Content reasoning = {};                 // assistant: what it thought before it answered
  std::vector<ToolCall> tool_calls = {};  // assistant
  std::string tool_call_id = {};          // tool: which call this answers
  std::string tool_name = {};             // tool: its name, where the API tells
};

// Tool is a function that the model may ask the caller to run.
struct Tool {
  std::string name;
  Content description;
  Content parameters;  // JSON Schema; "{}" takes anything
};

enum class ToolUse : std::uint8_t {
  automatic,  // the model decides
  none,       // tools are known, but none may be called
  required,   // at least one call, enforced by a grammar
};

struct ToolChoice {
  ToolUse use = ToolUse::automatic;
  std::string name = {};  // with required: exactly this one
  bool parallel = true;   // more than one call in a turn
};

// Constraint is what the answer's text must follow, enforced while sampling.
struct Constraint {
  enum class Kind : std::uint8_t { none, json_schema, grammar };
  Kind kind = Kind::none;
  Content text = {};  // the JSON Schema, or the GBNF grammar with the rule "root"
};

// How hard a reasoning model should think. What a model's template does not know is ignored.
enum class Effort : std::uint8_t { unset, none, minimal, low, medium, high };

struct Reasoning {
  Effort effort = Effort::unset;
  std::optional<std::uint32_t> tokens_max = {};  // thinking is ended after that many
};

struct LogitBias {
  std::int32_t token = 0;
  float bias = 0;  // [-100, 100]; -100 and less forbids the token
};

// Sampling parameters; unset means the model's or the engine's default.
struct Sampling {
  std::optional<float> temperature;                // 0 is greedy; [0, 2]
  std::optional<float> top_p;                      // (0, 1]
  std::optional<float> min_p;                      // [0, 1]
  std::optional<std::int32_t> top_k;               // 0 is off
  std::optional<float> frequency_penalty;          // [-2, 2]
  std::optional<float> presence_penalty;           // [-2, 2]
  std::optional<std::uint32_t> seed;               // unset: random
  std::optional<float> typical_p = {};             // (0, 1]; 1 is off
  std::optional<float> repeat_penalty = {};        // (0, 10]; 1 is off
  std::optional<std::int32_t> repeat_last_n = {};  // tokens the penalties look at; -1: all
  std::optional<float> dry_multiplier = {};        // [0, 100]; 0 is off
  std::optional<float> dry_base = {};              // [1, 100]
  std::optional<std::int32_t> dry_allowed_length = {};
  std::optional<std::int32_t> dry_penalty_last_n = {};  // -1: all
  std::optional<float> xtc_probability = {};            // [0, 1]; 0 is off
  std::optional<float> xtc_threshold = {};              // [0, 1]
  std::optional<std::int32_t> mirostat = {};            // 0 off, 1, 2
  std::optional<float> mirostat_tau = {};               // [0, 100]
  std::optional<float> mirostat_eta = {};               // [0, 1]
};

// with_defaults fills what `wanted` leaves open from `defaults` (what a model's publisher
// recommends).
Sampling with_defaults(Sampling wanted, const Sampling& defaults);

// What is wanted of the prompt.
enum class Purpose : std::uint8_t {
  generate,  // events: text, reasoning, tool calls
  render,    // the prompt as text, by TextDelta
  tokenize,  // the prompt as TokensDelta; Finished has their number
  count,     // only the number of the prompt's tokens, in Finished
  embed,     // the prompt's embedding, by VectorDelta
};

// CacheSalt says whose computed prefixes a request may use and leave behind: those of requests with
// the same salt and nobody else's.
using CacheSalt = std::array<std::uint8_t, 16>;

// GenerateRequest is one prompt to be completed (or one of the other things in Purpose). The prompt
// is `messages`, or `text`, or `tokens`.
struct GenerateRequest {
  GenerateRequest() = default;
  GenerateRequest(GenerateRequest&&) noexcept = default;
  GenerateRequest& operator=(GenerateRequest&&) noexcept = default;

  Purpose purpose = Purpose::generate;
  std::string model;  // as the caller named it; a public name
  std::vector<Message> messages;
  std::optional<Content> text;                      // a prompt without a chat template
  std::optional<std::vector<std::int32_t>> tokens;  // the same, tokenized
  // For `text`: control tokens written in it count as such; else they are plain text.
  bool text_has_special = true;
  bool add_start_token = true;  // for `text`: the model's first token is put before it
  // The last message is the assistant's and is to be gone on with.
  bool continue_last = false;
  std::vector<Tool> tools;
  ToolChoice tool_choice;
  Constraint constraint;
  Reasoning reasoning;
  Sampling sampling;
  std::vector<LogitBias> logit_bias;
  std::optional<std::uint32_t> logprobs;    // for each token, with this many alternatives
  bool ignore_end = false;                  // the model may not end by itself
  std::optional<std::uint32_t> max_tokens;  // unset: until the model stops or the context is full
  std::vector<Content> stop;                // generation ends before any of these
  std::string tenant;  // who asks (an opaque id, set by the gateway, never by the caller)
  // Derived from the tenant by the gateway, with a secret of the server's; never the caller's.
  // Unset: nothing is reused and nothing kept.
  std::optional<CacheSalt> cache_salt;
  std::uint32_t tenant_weight = 1;  // its share of a busy engine, beside the others'

  // clone copies content on purpose: a retry, a second choice or a benchmark needs it.
  GenerateRequest clone() const;
};

}  // namespace tacit::domain
