#include "api/error_map.hpp"

#include "api/json_text.hpp"

namespace tacit::api {

ErrorShape error_shape(Code code) noexcept {
  constexpr std::string_view request = "invalid_request_error";
  constexpr std::string_view server = "server_error";
  switch (code) {
    case Code::invalid_argument: return {400, request, "invalid_value", 0};
    case Code::malformed: return {400, request, "malformed", 0};
    case Code::unsupported: return {400, request, "unsupported_value", 0};
    case Code::context_exceeded: return {400, request, "context_length_exceeded", 0};
    case Code::unauthenticated: return {401, request, "invalid_api_key", 0};
    case Code::forbidden: return {403, "permission_error", "forbidden", 0};
    case Code::not_found: return {404, request, "not_found", 0};
    case Code::already_exists: return {409, request, "already_exists", 0};
    case Code::too_large: return {413, request, "too_large", 0};
    case Code::rate_limited: return {429, "rate_limit_error", "rate_limit_exceeded", 1};
    case Code::overloaded: return {429, "rate_limit_error", "overloaded", 1};
    case Code::cancelled: return {499, request, "cancelled", 0};
    case Code::shutting_down: return {503, server, "shutting_down", 1};
    case Code::unavailable: return {503, server, "unavailable", 1};
    case Code::worker_lost: return {503, server, "worker_lost", 1};
    case Code::deadline_exceeded: return {504, server, "timeout", 0};
    case Code::corrupt:
    case Code::io:
    case Code::no_space:
    case Code::permission:
    case Code::internal: return {500, server, code_name(code), 0};
  }
  return {500, server, "internal", 0};
}

std::string openai_error(const Error& error, std::string_view code) {
  const auto shape = error_shape(error.code());
  const bool about_field = shape.status == 400 && !error.subject().empty();
  JsonText out;
  out.raw(R"({"error":{"message":)").string(error.explain());
  out.raw(R"(,"type":)").string(shape.openai_type);
  out.raw(R"(,"param":)");
  if (about_field)
    out.string(error.subject());
  else
    out.raw("null");
  out.raw(R"(,"code":)").string(code.empty() ? shape.openai_code : code).raw("}}");
  return std::string{out.text().reveal()};
}

}  // namespace tacit::api
