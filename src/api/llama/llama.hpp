// The endpoints of llama.cpp's own server that no other API has: bytes to domain, events to bytes.
// Pure functions; no I/O.
// Source: llama.cpp v0.5.0, tools/server/README.md. `model` may be left out where one is served.
#pragma once

#include <string_view>

#include "api/generation.hpp"

namespace tacit::api::llama {

extern const Dialect kDialect;

Result<Call> tokenize(std::string_view body, const Limits& limits);        // POST /tokenize
Result<Call> detokenize(std::string_view body, const Limits& limits);      // POST /detokenize
Result<Call> apply_template(std::string_view body, const Limits& limits);  // POST /apply-template
Result<Call> completion(std::string_view body, const Limits& limits);      // POST /completion
Result<Call> embedding(std::string_view body, const Limits& limits);       // POST /embedding

}  // namespace tacit::api::llama
