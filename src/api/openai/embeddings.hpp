// OpenAI's embeddings: POST /v1/embeddings.
// Source: OpenAI's API description (openai/openai-openapi v2.3.0), paths./embeddings.
#pragma once

#include <string_view>

#include "api/generation.hpp"

namespace tacit::api::openai {

Result<Call> embeddings(std::string_view body, const Limits& limits);

}  // namespace tacit::api::openai
