// The one table from Error codes to HTTP statuses and to the words of each API's error objects.
#pragma once

#include <string>
#include <string_view>

#include "core/error.hpp"

namespace tacit::api {

// ErrorShape is how one code looks on the wire.
struct ErrorShape {
  int status;                    // HTTP
  std::string_view openai_type;  // OpenAI's `type`
  std::string_view openai_code;  // OpenAI's `code`
  int retry_after_s;             // Retry-After, or 0 for none
};

ErrorShape error_shape(Code code) noexcept;

// openai_error renders {"error":{"message","type","param","code"}}. `param` is the error's subject
// when the error is about a field of the request (see openai/chat.hpp), else null.
// `code` replaces the table's word where OpenAI has a more precise one ("model_not_found").
std::string openai_error(const Error& error, std::string_view code = {});

}  // namespace tacit::api
