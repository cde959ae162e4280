// OpenAI's model objects: GET /v1/models and /v1/models/{id}.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "domain/backend.hpp"

namespace tacit::api::openai {

// One model object. Tacit adds `digest` and `context_window` to what OpenAI has.
std::string render_model(const domain::ModelInfo& model, std::int64_t created_unix_s);
// The list object.
std::string render_models(std::span<const domain::ModelInfo> models, std::int64_t created_unix_s);

}  // namespace tacit::api::openai
