// HTTP/1.1 message heads (RFC 9112): sans-I/O, strict parsing and writing.
//
// One parser, and what it returns is all that anybody sees of a head: there is no second reading of
// the same bytes that could come to another result, which is what request smuggling lives on. Where
// the standard lets a recipient be lenient (bare LF, folded lines, repeated equal lengths, spaces
// before a colon) this refuses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "core/error.hpp"
#include "http/message.hpp"

namespace tacit::http {

struct HeadLimits {
  std::size_t head_bytes_max = 32 * 1024;
  std::size_t headers_max = 100;
};

// Refusal is a request that gets no further: the status to answer, and why.
struct Refusal {
  int status = 400;
  Error error{Code::malformed, "request"};
};
template <class T> using Parsed = std::expected<T, Refusal>;

// HeadScanner finds the end of a head in a buffer that grows. It refuses bytes that no head may
// hold as soon as they are seen: control characters, NUL, a CR or LF alone.
class HeadScanner {
 public:
  explicit HeadScanner(HeadLimits limits) : limits_{limits} {}
  // `buffered` starts where the head starts and is at least what the last call saw. The size of the
  // head with its blank line, or nothing yet. The result does not depend on how the bytes were cut.
  // Refusals: 400, 431.
  Parsed<std::optional<std::size_t>> scan(std::string_view buffered);
  // Whether anything of a head has been seen (one empty line before it is allowed).
  bool started() const noexcept { return position_ > 0; }

 private:
  HeadLimits limits_;
  std::size_t position_ = 0;
  std::size_t line_start_ = 0;
  std::size_t num_lines_ = 0;
  bool skipped_line_ = false;
};

// How long a body is.
struct Framing {
  enum class Kind : std::uint8_t { none, length, chunked, until_close };
  Kind kind = Kind::none;
  std::uint64_t length = 0;  // for Kind::length
};

struct ParsedRequest {
  RequestHead head;
  Framing framing;
  int minor_version = 1;   // HTTP/1.0 or HTTP/1.1
  bool keep_alive = true;  // what the client wishes
  bool expects_continue = false;
};
// parse_request_head reads a complete head, as HeadScanner delimits it. An absolute-form target is
// brought into origin form; its authority must be the Host. Refusals: 400, 413 (Content-Length over
// `body_bytes_max`), 417, 501 (CONNECT), 505.
Parsed<ParsedRequest> parse_request_head(std::string_view head, std::uint64_t body_bytes_max);

struct ParsedResponse {
  ResponseHead head;
  Framing framing;
  bool keep_alive = true;
};
// parse_response_head reads the head of the response to a request of `method`. Errors: malformed.
Result<ParsedResponse> parse_response_head(std::string_view head, std::string_view method);

// is_field_name and is_field_value tell what may be written into a head: nothing that could end a
// line.
bool is_field_name(std::string_view name) noexcept;
bool is_field_value(std::string_view value) noexcept;
bool is_token(std::string_view text) noexcept;

// append_request_head and append_response_head write a head with its blank line. Errors:
// invalid_argument when a name or value could break out of its line (nothing is appended then).
Result<void> append_request_head(std::string& out, std::string_view method, std::string_view target,
                                 const Headers& headers);
Result<void> append_response_head(std::string& out, const ResponseHead& head);

// chunk_header is the line before a chunk of `bytes` (not 0).
std::string chunk_header(std::size_t bytes);
inline constexpr std::string_view kChunkEnd = "\r\n";
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

}  // namespace tacit::http
