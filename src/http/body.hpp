// HTTP/1.1 message bodies: sans-I/O decoding by length, chunks or the end of the connection.
#pragma once

#include <cstddef>
#include <cstdint>

#include "core/bytes.hpp"
#include "http/http1.hpp"

namespace tacit::http {

// BodyDecoder takes a body off the front of a byte stream. Chunk extensions are skipped and
// trailers dropped, both within bounds.
class BodyDecoder {
 public:
  BodyDecoder() = default;  // no body: done at once
  BodyDecoder(Framing framing, std::uint64_t body_bytes_max);

  // Piece is what one step took: `consumed` bytes of the input are done with, `data` (part of them)
  // is body. Both empty: more input is needed, or done().
  struct Piece {
    std::size_t consumed = 0;
    BytesView data;
  };
  // Decodes from the front of `in`, at most `data_max` bytes of data. Errors: malformed, too_large;
  // the decoder is then of no more use.
  Result<Piece> next(BytesView in, std::size_t data_max);
  // The connection ended. Errors: malformed "cut short", unless the body ends so or is done.
  Result<void> end_of_stream();
  bool done() const noexcept { return state_ == State::done; }
  // Bytes that are certainly raw body from here on, so that they may be read straight to where they
  // are wanted; then tell with skip(). 0 where framing may come next.
  std::uint64_t raw_remaining() const noexcept;
  void skip(std::size_t n) noexcept;
  // Whether the rest is known to be at most `bytes`.
  bool at_most_left(std::uint64_t bytes) const noexcept;

 private:
  enum class State : std::uint8_t {
    done,
    raw,  // remaining_ bytes of a length body
    until_close,
    chunk_size,       // hex digits
    extension_start,  // after a semicolon: name, or name=value with a token or a quoted string
    extension_name,
    extension_value_start,
    extension_value,
    extension_quoted,
    extension_escape,
    extension_quoted_end,
    chunk_size_lf,
    chunk_data,  // remaining_ bytes
    chunk_data_cr,
    chunk_data_lf,
    trailer_start,  // first byte of a trailer line or of the last line
    trailer_name,
    trailer_value,
    trailer_lf,
    last_lf,
  };
  Result<void> take_framing_byte(char c);
  Result<void> take_size_byte(char c);
  Result<void> take_extension_byte(char c);
  Result<void> take_trailer_byte(char c);
  Result<void> end_extension(char c);
  Result<void> count_overhead(char c);
  // Refuses any other byte than `wanted`.
  Result<void> expect(char c, char wanted, State then);
  Result<void> start_chunk();

  State state_ = State::done;
  std::uint64_t remaining_ = 0;
  std::uint64_t budget_ = 0;  // body bytes still allowed
  std::uint32_t size_digits_ = 0;
  std::uint32_t overhead_bytes_ = 0;  // extensions and trailers so far
};

}  // namespace tacit::http
