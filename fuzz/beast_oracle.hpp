// Boost.Beast's parser as a second opinion. Tacit's HTTP parser is the stricter one: what it
// accepts, Beast must accept and understand in the same way. (The reverse does not hold, and need
// not.)
#pragma once

#include <string_view>

#include <boost/asio/buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>

#include "fuzz.hpp"
#include "http/http1.hpp"

namespace tacit::fuzz {

namespace beast_http = boost::beast::http;

inline std::string_view plain(boost::beast::string_view text) { return {text.data(), text.size()}; }

template <bool is_request>
void set_up(beast_http::parser<is_request, beast_http::string_body>& parser) {
  parser.header_limit(1U << 20U);
  parser.body_limit(boost::none);
  parser.eager(true);
}

template <bool is_request>
void check_fields(const beast_http::parser<is_request, beast_http::string_body>& parser,
                  const http::Headers& headers) {
  std::size_t count = 0;
  for (const auto& field : parser.get()) {
    ++count;
    const auto ours = headers.count(plain(field.name_string()));
    FUZZ_CHECK(ours > 0);
  }
  FUZZ_CHECK(count == headers.size());
  for (const auto& [name, value] : headers) {
    const auto range = parser.get().equal_range({name.data(), name.size()});
    bool found = false;
    for (auto it = range.first; it != range.second; ++it)
      found = found || plain(it->value()) == value;
    FUZZ_CHECK(found);
  }
}

template <bool is_request>
void check_framing(const beast_http::parser<is_request, beast_http::string_body>& parser,
                   const http::Framing& framing) {
  using Kind = http::Framing::Kind;
  FUZZ_CHECK(parser.chunked() == (framing.kind == Kind::chunked));
  const auto length = parser.content_length();
  if (framing.kind == Kind::length) FUZZ_CHECK(length && *length == framing.length);
  if (framing.kind == Kind::none && is_request) FUZZ_CHECK(!length);
}

}  // namespace tacit::fuzz
