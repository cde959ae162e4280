// Binary HTTP messages (RFC 9292), sans I/O: requests and responses as bytes that can be sealed.
//
// Written: the indeterminate-length form, so that bodies stream, never truncated. Read: both forms,
// truncated where section 3.8 allows it, informational responses (skipped), padding. Field names
// are lower-case tokens and values hold no control characters, else the message is refused: what
// comes out here can be written as HTTP/1.1 without being read as something else there.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/bytes.hpp"
#include "core/secret.hpp"

namespace tacit::seal {

using BhttpFields = std::vector<std::pair<std::string, std::string>>;

struct BhttpRequest {
  std::string method;
  std::string scheme;     // "https"
  std::string authority;  // empty when the Host field says it
  std::string path;       // path and query, percent-encoded
  BhttpFields fields;
};

struct BhttpResponse {
  int status = 200;  // 200 to 599
  BhttpFields fields;
};

struct BhttpLimits {
  std::size_t head_bytes_max = 64 * 1024;  // everything before the content
  std::size_t fields_max = 200;
};

// Everything before the content. Fields that belong to one connection (RFC 9110 section 7.6.1) are
// the caller's to leave out.
Bytes bhttp_head(const BhttpRequest& request);
Bytes bhttp_head(const BhttpResponse& response);
// A piece of content; nothing for an empty one. `put_bhttp_prefix` is what stands before a piece of
// `n` bytes that the caller writes itself.
void put_bhttp_prefix(Bytes& out, std::size_t n);
void put_bhttp_content(Bytes& out, BytesView content);
// The end: no more content, no trailers.
void put_bhttp_end(Bytes& out);

// BhttpDecoder reads one message from pieces of any size. Not thread-safe; movable.
class BhttpDecoder {
 public:
  enum class Kind : std::uint8_t { request, response };
  explicit BhttpDecoder(Kind kind, BhttpLimits limits = {}) : kind_{kind}, limits_{limits} {}

  // Takes the next bytes of the message. Content is appended to `content`. Errors: malformed,
  // too_large, unsupported (framing of the other kind); the decoder is then of no more use.
  Result<void> feed(BytesView in, SecretText& content);
  // No more bytes come. Errors: malformed "binary HTTP message is cut short".
  Result<void> end();

  // Whether request() or response(), of the decoder's kind, may be called.
  bool has_head() const noexcept { return state_ > State::fields; }
  BhttpRequest& request() noexcept { return request_; }
  BhttpResponse& response() noexcept { return response_; }
  // Whether all content has come; only trailers and padding may follow.
  bool content_done() const noexcept { return state_ > State::content; }

 private:
  enum class State : std::uint8_t {
    framing,
    control,  // request line, or status
    fields,
    content_length,  // known-length: of all; indeterminate: of the next piece
    content,
    trailers,
    padding,
  };
  struct Step {
    std::size_t consumed = 0;  // 0: more bytes are needed
  };
  Result<Step> step(BytesView in, SecretText& content);
  Result<Step> take_framing(BytesView in);
  Result<Step> take_control(BytesView in);
  Result<Step> take_request_line(BytesView in);
  Result<Step> take_status(BytesView in);
  Result<Step> take_fields(BytesView in, BhttpFields* fields);
  Result<Step> take_content_length(BytesView in);
  Result<Step> take_content(BytesView in, SecretText& content);
  Result<Step> take_padding(BytesView in);
  void fields_end();

  Kind kind_;
  BhttpLimits limits_;
  State state_ = State::framing;
  bool known_length_ = false;
  bool informational_ = false;   // the fields now read belong to a 1xx response
  std::uint64_t remaining_ = 0;  // of the content, or of its current piece
  std::size_t fields_seen_ = 0;
  std::size_t head_bytes_ = 0;
  Bytes held_;  // an incomplete element; at most head_bytes_max
  BhttpRequest request_;
  BhttpResponse response_;
};

}  // namespace tacit::seal
