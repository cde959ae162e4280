// Addresses of package indexes: credentials apart, references resolved (RFC 3986 section 5).
#pragma once

#include <string>
#include <string_view>

#include "core/error.hpp"

namespace tacit::registry {

// IndexUrl is an index's address without its credentials, which are sent as a header and never
// printed.
struct IndexUrl {
  std::string url;            // "https://host/simple", without user info, query and last slash
  std::string authorization;  // "Basic ..." or ""
  std::string origin;         // "https://host:443"
};

// parse_index_url accepts http and https. Errors: invalid_argument (its text does not quote the
// URL, which may hold a password).
Result<IndexUrl> parse_index_url(std::string_view text);

// resolve_url resolves `reference` against the absolute `base`; fragments are dropped.
// Errors: malformed.
Result<std::string> resolve_url(std::string_view base, std::string_view reference);

// "scheme://host:port" of an absolute URL, in lower case and with the port always there; "" if it
// is none.
std::string origin_of(std::string_view url);

// "host" or "host:port" of an absolute URL for errors, "" if it is none.
std::string host_of(std::string_view url);

}  // namespace tacit::registry
