#include "http/message.hpp"

#include <algorithm>
#include <array>

#include "core/text.hpp"

namespace tacit::http {

void Headers::set(std::string name, std::string value) {
  remove(name);
  add(std::move(name), std::move(value));
}

void Headers::remove(std::string_view name) {
  std::erase_if(fields_, [&](const auto& field) { return iequals_ascii(field.first, name); });
}

std::optional<std::string_view> Headers::find(std::string_view name) const noexcept {
  for (const auto& [field, value] : fields_) {
    if (iequals_ascii(field, name)) return value;
  }
  return std::nullopt;
}

std::size_t Headers::count(std::string_view name) const noexcept {
  return static_cast<std::size_t>(std::ranges::count_if(
      fields_, [&](const auto& field) { return iequals_ascii(field.first, name); }));
}

std::string_view RequestHead::path() const noexcept {
  return std::string_view{target}.substr(0, target.find('?'));
}

std::string_view RequestHead::query() const noexcept {
  const auto mark = target.find('?');
  return mark == std::string::npos ? std::string_view{} : std::string_view{target}.substr(mark + 1);
}

std::string_view reason_phrase(int status) noexcept {
  switch (status) {
    case 100: return "Continue";
    case 101: return "Switching Protocols";
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 206: return "Partial Content";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 402: return "Payment Required";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 411: return "Length Required";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 416: return "Range Not Satisfiable";
    case 417: return "Expectation Failed";
    case 422: return "Unprocessable Content";
    case 425: return "Too Early";
    case 426: return "Upgrade Required";
    case 428: return "Precondition Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    default: return "";
  }
}

bool is_connection_field(std::string_view name) noexcept {
  constexpr std::array<std::string_view, 8> fields{
      "connection", "keep-alive", "proxy-connection",  "te",
      "trailer",    "upgrade",    "transfer-encoding", "expect"};
  return std::ranges::any_of(fields,
                             [name](std::string_view field) { return iequals_ascii(field, name); });
}

std::string_view api_key_of(const Headers& headers) noexcept {
  constexpr std::string_view scheme = "bearer ";
  const auto authorization = headers.find("authorization");
  if (!authorization) return headers.find("x-api-key").value_or("");
  if (authorization->size() <= scheme.size() ||
      !iequals_ascii(authorization->substr(0, scheme.size()), scheme)) {
    return {};
  }
  return trim_ascii(authorization->substr(scheme.size()));
}

}  // namespace tacit::http
