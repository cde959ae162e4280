// Private to http: absolute URLs, and what of them a request needs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/error.hpp"

namespace tacit::http {

// Url is an absolute http or https URL, taken apart.
struct Url {
  bool secure = false;
  std::string host;          // lower case; an IPv6 address without brackets
  std::uint16_t port = 0;    // explicit or the scheme's
  std::string authority;     // as the Host field has it: no default port
  std::string target;        // path and query; "/" at least
  std::string text() const;  // without fragment
  bool same_origin(const Url& other) const noexcept {
    return secure == other.secure && host == other.host && port == other.port;
  }
};

// Errors: invalid_argument (not absolute, another scheme, user information).
Result<Url> parse_url(std::string_view text);
// The URL that `reference`, a Location field, means where `base` was asked for.
Result<Url> resolve_url(const Url& base, std::string_view reference);

// Proxy is where requests go instead.
struct Proxy {
  std::string host;
  std::uint16_t port = 0;
  std::string authorization;  // "Basic ..." when the setting had a user; a secret
};
// Parses "http://[user:password@]host[:port]". Errors: invalid_argument.
Result<Proxy> parse_proxy(std::string_view setting);
// Whether `host` is on a comma-separated list of suffixes, as curl reads it; "*" is everything.
bool is_excluded(std::string_view host, std::string_view no_proxy) noexcept;

}  // namespace tacit::http
