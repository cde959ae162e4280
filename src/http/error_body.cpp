#include "http/error_body.hpp"

namespace tacit::http {

namespace {

// Error text is literals and numbers; escaped all the same, so that no literal can break the JSON.
std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out;
}

}  // namespace

std::string error_body(int status, const Error& error) {
  std::string out = R"({"error":{"message":")";
  out += escaped(error.explain());
  out += R"(","type":")";
  out += status < 500 ? "invalid_request_error" : "server_error";
  out += R"(","param":null,"code":")";
  out += code_name(error.code());
  out += "\"}}";
  return out;
}

}  // namespace tacit::http
