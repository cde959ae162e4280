// Private to http: the JSON that the server itself answers, before or without a handler.
#pragma once

#include <string>

#include "core/error.hpp"

namespace tacit::http {

// error_body is OpenAI's error shape: {"error":{"message","type","param":null,"code"}}. The message
// is the error's literal text and numbers, so no content can be in it.
std::string error_body(int status, const Error& error);

}  // namespace tacit::http
