#include "http/http1.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include "core/text.hpp"

namespace tacit::http {

namespace {

constexpr std::array<bool, 256> kTokenBytes = [] {
  std::array<bool, 256> table{};
  for (int c = '0'; c <= '9'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (int c = 'a'; c <= 'z'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (int c = 'A'; c <= 'Z'; ++c) table[static_cast<std::size_t>(c)] = true;
  for (const char c : std::string_view{"!#$%&'*+-.^_`|~"})
    table[static_cast<unsigned char>(c)] = true;
  return table;
}();

bool is_token_byte(char c) { return kTokenBytes[static_cast<unsigned char>(c)]; }

// Bytes of a field value: visible, space, tab, and the obsolete upper half.
bool is_value_byte(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte >= 0x20 && byte != 0x7f) || byte == '\t';
}

std::unexpected<Refusal> refuse(int status, Error error) {
  return std::unexpected<Refusal>{Refusal{.status = status, .error = std::move(error)}};
}
std::unexpected<Refusal> refuse(Literal why) { return refuse(400, Error{Code::malformed, why}); }

// Cuts the next line off a head whose lines all end in CRLF.
std::string_view take_line(std::string_view& rest) {
  const auto end = rest.find("\r\n");
  const auto line = rest.substr(0, end);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 2);
  return line;
}

Result<Headers> parse_fields(std::string_view rest) {
  Headers headers;
  while (!rest.empty()) {
    const auto line = take_line(rest);
    if (line.empty()) break;
    if (line[0] == ' ' || line[0] == '\t') return fail(Code::malformed, "folded header line");
    const auto colon = line.find(':');
    if (colon == std::string_view::npos)
      return fail(Code::malformed, "header line without a colon");
    const auto name = line.substr(0, colon);
    if (!is_token(name)) return fail(Code::malformed, "header name");
    const auto value = trim_ascii(line.substr(colon + 1));
    if (!is_field_value(value)) return fail(Code::malformed, "header value");
    headers.add(std::string{name}, std::string{value});
  }
  return headers;
}

// The version's minor number from "HTTP/1.x"; -1 for another version, -2 for no version at all.
int parse_version(std::string_view text) {
  if (text == "HTTP/1.1") return 1;
  if (text == "HTTP/1.0") return 0;
  const bool shaped = text.size() == 8 && text.starts_with("HTTP/") && text[6] == '.' &&
                      text[5] >= '0' && text[5] <= '9' && text[7] >= '0' && text[7] <= '9';
  return shaped ? -1 : -2;
}

// Whether a comma-separated list of tokens, over all fields of that name, holds `token`.
bool list_holds(const Headers& headers, std::string_view name, std::string_view token) {
  for (const auto& [field, value] : headers) {
    if (!iequals_ascii(field, name)) continue;
    for (std::string_view rest = value; !rest.empty();) {
      const auto comma = rest.find(',');
      if (iequals_ascii(trim_ascii(rest.substr(0, comma)), token)) return true;
      rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
    }
  }
  return false;
}

// Errors: a Connection field that is no list of tokens.
Result<bool> wants_keep_alive(const Headers& headers, int minor_version) {
  for (const auto& [field, value] : headers) {
    if (!iequals_ascii(field, "connection")) continue;
    for (std::string_view rest = value; !rest.empty();) {
      const auto comma = rest.find(',');
      const auto option = trim_ascii(rest.substr(0, comma));
      if (!option.empty() && !is_token(option)) return fail(Code::malformed, "Connection");
      rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
    }
  }
  if (list_holds(headers, "connection", "close")) return false;
  return minor_version >= 1 || list_holds(headers, "connection", "keep-alive");
}

// The length of a body from the two fields that can tell it; the heart of the smuggling defence.
// Nothing is resolved by precedence: any doubt is an error. nullopt: neither field is there.
Result<std::optional<Framing>> parse_framing(const Headers& headers, int minor_version) {
  const auto lengths = headers.count("content-length");
  const auto codings = headers.count("transfer-encoding");
  if (lengths > 0 && codings > 0) {
    return fail(Code::malformed, "both Content-Length and Transfer-Encoding");
  }
  if (codings > 0) {
    if (minor_version < 1) return fail(Code::malformed, "Transfer-Encoding in HTTP/1.0");
    if (codings > 1) return fail(Code::malformed, "repeated Transfer-Encoding");
    if (!iequals_ascii(*headers.find("transfer-encoding"), "chunked")) {
      return fail(Code::malformed, "Transfer-Encoding other than chunked");
    }
    return Framing{.kind = Framing::Kind::chunked};
  }
  if (lengths == 0) return std::nullopt;
  if (lengths > 1) return fail(Code::malformed, "repeated Content-Length");
  // Digits only: no sign, no list, no space, no overflow.
  const auto length = parse_u64(*headers.find("content-length"));
  if (!length || *length > static_cast<std::uint64_t>(INT64_MAX)) {
    return fail(Code::malformed, "Content-Length");
  }
  return Framing{.kind = Framing::Kind::length, .length = *length};
}

// uri-host [":" port], without user information. Names are not resolved here, only bounded.
bool is_authority(std::string_view text) {
  if (text.empty()) return false;
  std::string_view host = text;
  std::string_view port;
  if (text[0] == '[') {
    const auto close = text.find(']');
    if (close == std::string_view::npos) return false;
    host = text.substr(1, close - 1);
    port = text.substr(close + 1);
    if (host.empty() ||
        host.find_first_not_of("0123456789abcdefABCDEF:.") != std::string_view::npos) {
      return false;
    }
  } else {
    const auto colon = text.find(':');
    host = text.substr(0, colon);
    port = colon == std::string_view::npos ? std::string_view{} : text.substr(colon);
    const bool plain = std::ranges::all_of(host, [](char c) {
      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
             c == '-' || c == '.' || c == '_' || c == '~' || c == '%';
    });
    if (host.empty() || !plain) return false;
  }
  if (port.empty()) return true;
  if (port[0] != ':' || port.size() > 6) return false;
  return port.substr(1).find_first_not_of("0123456789") == std::string_view::npos;
}

bool is_hex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

bool is_target_text(std::string_view target) {
  for (std::size_t i = 0; i < target.size(); ++i) {
    const auto byte = static_cast<unsigned char>(target[i]);
    if (byte <= 0x20 || byte >= 0x7f || byte == '#') return false;
    if (byte != '%') continue;
    if (i + 2 >= target.size() || !is_hex(target[i + 1]) || !is_hex(target[i + 2])) return false;
  }
  return true;
}

// Brings the target into origin form. `authority` is set for an absolute target.
Parsed<void> parse_target(std::string_view text, RequestHead& head, std::string_view& authority) {
  if (text.empty() || !is_target_text(text)) return refuse("request target");
  if (head.method == "CONNECT")
    return refuse(501, Error{Code::unsupported, "CONNECT is not offered"});
  if (text == "*") {
    if (head.method != "OPTIONS") return refuse("request target");
    head.target = text;
    return {};
  }
  if (text[0] == '/') {
    head.target = text;
    return {};
  }
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!iequals_ascii(text.substr(0, scheme.size()), scheme)) continue;
    const auto rest = text.substr(scheme.size());
    const auto end = std::min(rest.find_first_of("/?"), rest.size());
    authority = rest.substr(0, end);
    if (!is_authority(authority)) return refuse("authority of the request target");
    head.target = rest.substr(end);
    if (head.target.empty() || head.target[0] != '/') head.target.insert(0, 1, '/');
    return {};
  }
  return refuse("request target");
}

Parsed<void> check_host(const RequestHead& head, int minor_version, std::string_view authority) {
  const auto hosts = head.headers.count("host");
  if (hosts > 1) return refuse("repeated Host");
  if (hosts == 0) {
    if (minor_version >= 1) return refuse("missing Host");
    return {};
  }
  const auto host = *head.headers.find("host");
  if (!is_authority(host)) return refuse("Host");
  if (!authority.empty() && !iequals_ascii(authority, host)) {
    return refuse("Host differs from the request target");
  }
  return {};
}

}  // namespace

bool is_token(std::string_view text) noexcept {
  return !text.empty() && std::ranges::all_of(text, is_token_byte);
}
bool is_field_name(std::string_view name) noexcept { return is_token(name); }
bool is_field_value(std::string_view value) noexcept {
  return std::ranges::all_of(value, is_value_byte) && trim_ascii(value).size() == value.size();
}

Parsed<std::optional<std::size_t>> HeadScanner::scan(std::string_view buffered) {
  const auto too_large = [&] {
    return refuse(431, Error{Code::too_large, "the message's head is too large"}.with(
                           "limit", static_cast<std::int64_t>(limits_.head_bytes_max)));
  };
  while (position_ < buffered.size()) {
    if (position_ >= limits_.head_bytes_max) return too_large();
    const char c = buffered[position_];
    if (c == '\n') return refuse("LF without CR");
    if (c != '\r') {
      if (!is_value_byte(c)) return refuse("control character in a head");
      ++position_;
      continue;
    }
    if (position_ + 2 > limits_.head_bytes_max) return too_large();
    if (position_ + 1 == buffered.size()) break;
    if (buffered[position_ + 1] != '\n') return refuse("CR without LF");
    const bool empty = position_ == line_start_;
    position_ += 2;
    line_start_ = position_;
    if (!empty) {
      if (++num_lines_ > limits_.headers_max + 1) {
        return refuse(431, Error{Code::too_large, "too many headers"}.with(
                               "limit", static_cast<std::int64_t>(limits_.headers_max)));
      }
    } else if (num_lines_ > 0) {
      return std::optional{position_};
    } else if (std::exchange(skipped_line_, true)) {
      return refuse("empty lines before a request");
    }
  }
  return std::optional<std::size_t>{};
}

Parsed<ParsedRequest> parse_request_head(std::string_view head, std::uint64_t body_bytes_max) {
  if (head.starts_with("\r\n")) head.remove_prefix(2);
  const auto line = take_line(head);
  const auto first = line.find(' ');
  const auto last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return refuse("request line");
  ParsedRequest out;
  out.minor_version = parse_version(line.substr(last + 1));
  if (out.minor_version == -2) return refuse("request line");
  if (out.minor_version == -1) {
    return refuse(505, Error{Code::unsupported, "HTTP version other than 1.0 and 1.1"});
  }
  out.head.method = line.substr(0, first);
  if (!is_token(out.head.method)) return refuse("request method");
  auto fields = parse_fields(head);
  if (!fields) return refuse(400, std::move(fields).error());
  out.head.headers = *std::move(fields);

  std::string_view authority;
  if (auto ok = parse_target(line.substr(first + 1, last - first - 1), out.head, authority); !ok) {
    return std::unexpected{std::move(ok).error()};
  }
  if (auto ok = check_host(out.head, out.minor_version, authority); !ok) {
    return std::unexpected{std::move(ok).error()};
  }
  auto framing = parse_framing(out.head.headers, out.minor_version);
  if (!framing) return refuse(400, std::move(framing).error());
  out.framing = framing->value_or(Framing{});
  if (out.framing.length > body_bytes_max) {
    return refuse(413, Error{Code::too_large, "the request body is too large"}
                           .with("bytes", static_cast<std::int64_t>(out.framing.length))
                           .with("limit", static_cast<std::int64_t>(body_bytes_max)));
  }
  const auto keep_alive = wants_keep_alive(out.head.headers, out.minor_version);
  if (!keep_alive) return refuse(400, keep_alive.error());
  out.keep_alive = *keep_alive;
  if (const auto expect = out.head.headers.find("expect"); expect && out.minor_version >= 1) {
    if (out.head.headers.count("expect") > 1 || !iequals_ascii(*expect, "100-continue")) {
      return refuse(417, Error{Code::unsupported, "Expect other than 100-continue"});
    }
    out.expects_continue = true;
  }
  return out;
}

Result<ParsedResponse> parse_response_head(std::string_view head, std::string_view method) {
  if (head.starts_with("\r\n")) return fail(Code::malformed, "status line");
  const auto line = take_line(head);
  const int minor_version = parse_version(line.substr(0, 8));
  if (minor_version < 0 || line.size() < 12 || line[8] != ' ')
    return fail(Code::malformed, "status line");
  const auto status = parse_u64(line.substr(9, 3));
  if (!status || *status < 100 || *status > 599 || (line.size() > 12 && line[12] != ' ')) {
    return fail(Code::malformed, "status line");
  }
  ParsedResponse out;
  out.head.status = static_cast<int>(*status);
  TACIT_TRY(out.head.headers, parse_fields(head));
  TACIT_TRY(const auto framing, parse_framing(out.head.headers, minor_version));
  TACIT_TRY(out.keep_alive, wants_keep_alive(out.head.headers, minor_version));
  const bool bodiless = method == "HEAD" || *status < 200 || *status == 204 || *status == 304;
  if (bodiless) {
    out.framing = {};
  } else if (framing) {
    out.framing = *framing;
  } else {
    out.framing = {.kind = Framing::Kind::until_close};
    out.keep_alive = false;
  }
  return out;
}

namespace {

Result<void> append_fields(std::string& out, const Headers& headers) {
  const auto before = out.size();
  for (const auto& [name, value] : headers) {
    if (!is_field_name(name) || !is_field_value(value)) {
      out.resize(before);
      return fail(Code::invalid_argument, "header that cannot be sent");
    }
    out.append(name).append(": ").append(value).append("\r\n");
  }
  out += "\r\n";
  return {};
}

}  // namespace

Result<void> append_request_head(std::string& out, std::string_view method, std::string_view target,
                                 const Headers& headers) {
  const bool sendable = std::ranges::all_of(
      target, [](char c) { return static_cast<unsigned char>(c) > 0x20 && c != 0x7f; });
  if (!is_token(method) || target.empty() || !sendable) {
    return fail(Code::invalid_argument, "request line that cannot be sent");
  }
  const auto before = out.size();
  out.append(method).append(" ").append(target).append(" HTTP/1.1\r\n");
  auto appended = append_fields(out, headers);
  if (!appended) out.resize(before);
  return appended;
}

Result<void> append_response_head(std::string& out, const ResponseHead& head) {
  if (head.status < 100 || head.status > 599)
    return fail(Code::invalid_argument, "response status");
  const auto before = out.size();
  out.append("HTTP/1.1 ").append(std::to_string(head.status)).append(" ");
  out.append(reason_phrase(head.status)).append("\r\n");
  auto appended = append_fields(out, head.headers);
  if (!appended) out.resize(before);
  return appended;
}

std::string chunk_header(std::size_t bytes) {
  std::array<char, 18> text{};
  const auto end = std::to_chars(text.data(), text.data() + 16, bytes, 16).ptr;
  std::string out{text.data(), end};
  out += "\r\n";
  return out;
}

}  // namespace tacit::http
