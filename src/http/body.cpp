#include "http/body.hpp"

#include <algorithm>

namespace tacit::http {

namespace {

constexpr std::uint32_t kOverheadBytesMax = 16 * 1024;
constexpr std::uint32_t kSizeDigitsMax = 16;

Error too_large(std::uint64_t limit) {
  return Error{Code::too_large, "the body is too large"}.with("limit",
                                                              static_cast<std::int64_t>(limit));
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_text_byte(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte >= 0x20 && byte != 0x7f) || byte == '\t';
}

}  // namespace

BodyDecoder::BodyDecoder(Framing framing, std::uint64_t body_bytes_max) : budget_{body_bytes_max} {
  switch (framing.kind) {
    case Framing::Kind::none: break;
    case Framing::Kind::length:
      remaining_ = framing.length;
      state_ = remaining_ > 0 ? State::raw : State::done;
      break;
    case Framing::Kind::chunked: state_ = State::chunk_size; break;
    case Framing::Kind::until_close: state_ = State::until_close; break;
  }
}

Result<BodyDecoder::Piece> BodyDecoder::next(BytesView in, std::size_t data_max) {
  std::size_t consumed = 0;
  while (consumed < in.size() && state_ != State::done) {
    const bool data =
        state_ == State::raw || state_ == State::until_close || state_ == State::chunk_data;
    if (!data) {
      TACIT_CHECK(take_framing_byte(static_cast<char>(in[consumed])));
      ++consumed;
      continue;
    }
    const auto wanted = std::min(data_max, in.size() - consumed);
    std::size_t size = wanted;
    if (state_ == State::until_close) {
      if (size > budget_) return fail(too_large(budget_));
      budget_ -= size;
    } else {
      size = static_cast<std::size_t>(std::min<std::uint64_t>(wanted, remaining_));
      remaining_ -= size;
      if (remaining_ == 0) state_ = state_ == State::raw ? State::done : State::chunk_data_cr;
    }
    return Piece{.consumed = consumed + size, .data = in.subspan(consumed, size)};
  }
  return Piece{.consumed = consumed, .data = {}};
}

Result<void> BodyDecoder::take_size_byte(char c) {
  if (const int digit = hex_digit(c); digit >= 0) {
    // 16 digits fill 64 bits exactly, so the shift cannot overflow.
    if (++size_digits_ > kSizeDigitsMax) return fail(Code::malformed, "chunk size");
    remaining_ = remaining_ << 4U | static_cast<std::uint64_t>(digit);
    return {};
  }
  if (size_digits_ == 0) return fail(Code::malformed, "chunk size");
  if (c == ';') {
    state_ = State::extension_start;
  } else if (c == '\r') {
    state_ = State::chunk_size_lf;
  } else {
    return fail(Code::malformed, "chunk size");
  }
  return {};
}

Result<void> BodyDecoder::start_chunk() {
  size_digits_ = 0;
  if (remaining_ == 0) {
    state_ = State::trailer_start;
    return {};
  }
  // Compared before anything is added: no sum to overflow.
  if (remaining_ > budget_) return fail(too_large(budget_));
  budget_ -= remaining_;
  state_ = State::chunk_data;
  return {};
}

Result<void> BodyDecoder::expect(char c, char wanted, State then) {
  if (c != wanted) return fail(Code::malformed, "line end in a chunked body");
  state_ = then;
  return {};
}

Result<void> BodyDecoder::count_overhead(char c) {
  if (++overhead_bytes_ > kOverheadBytesMax) {
    return fail(
        Error{Code::too_large, "chunk extensions and trailers"}.with("limit", kOverheadBytesMax));
  }
  if (!is_text_byte(c)) return fail(Code::malformed, "control character in a chunked body");
  return {};
}

// What may follow a complete extension.
Result<void> BodyDecoder::end_extension(char c) {
  if (c == ';') {
    state_ = State::extension_start;
    return count_overhead(c);
  }
  return expect(c, '\r', State::chunk_size_lf);
}

// chunk-ext of RFC 9112, section 7.1.1, without its optional bad whitespace.
Result<void> BodyDecoder::take_extension_byte(char c) {
  const bool token = is_token({&c, 1});
  switch (state_) {
    case State::extension_start:
    case State::extension_value_start:
      if (token) {
        state_ = state_ == State::extension_start ? State::extension_name : State::extension_value;
      } else if (c == '"' && state_ == State::extension_value_start) {
        state_ = State::extension_quoted;
      } else {
        return fail(Code::malformed, "chunk extension");
      }
      return count_overhead(c);
    case State::extension_name:
      if (c == '=') state_ = State::extension_value_start;
      if (c == '=' || token) return count_overhead(c);
      return end_extension(c);
    case State::extension_value: return token ? count_overhead(c) : end_extension(c);
    case State::extension_quoted:
      if (c == '"') state_ = State::extension_quoted_end;
      if (c == '\\') state_ = State::extension_escape;
      return count_overhead(c);
    case State::extension_escape: state_ = State::extension_quoted; return count_overhead(c);
    default: return end_extension(c);  // extension_quoted_end
  }
}

Result<void> BodyDecoder::take_trailer_byte(char c) {
  switch (state_) {
    case State::trailer_start:
      if (c == '\r') return expect(c, '\r', State::last_lf);
      [[fallthrough]];
    case State::trailer_name:
      if (c == ':' && state_ == State::trailer_name) {
        state_ = State::trailer_value;
      } else if (is_token({&c, 1})) {
        state_ = State::trailer_name;
      } else {
        return fail(Code::malformed, "trailer name");
      }
      return count_overhead(c);
    default:  // trailer_value
      if (c == '\r') return expect(c, '\r', State::trailer_lf);
      return count_overhead(c);
  }
}

Result<void> BodyDecoder::take_framing_byte(char c) {
  switch (state_) {
    case State::chunk_size: return take_size_byte(c);
    case State::extension_start:
    case State::extension_name:
    case State::extension_value_start:
    case State::extension_value:
    case State::extension_quoted:
    case State::extension_escape:
    case State::extension_quoted_end: return take_extension_byte(c);
    case State::chunk_size_lf:
      TACIT_CHECK(expect(c, '\n', State::chunk_size));
      return start_chunk();
    case State::chunk_data_cr: return expect(c, '\r', State::chunk_data_lf);
    case State::chunk_data_lf: return expect(c, '\n', State::chunk_size);
    case State::trailer_start:
    case State::trailer_name:
    case State::trailer_value: return take_trailer_byte(c);
    case State::trailer_lf: return expect(c, '\n', State::trailer_start);
    case State::last_lf: return expect(c, '\n', State::done);
    case State::done:
    case State::raw:
    case State::until_close:
    case State::chunk_data: break;
  }
  return fail(Code::internal, "body decoder");
}

Result<void> BodyDecoder::end_of_stream() {
  if (state_ == State::until_close) state_ = State::done;
  if (state_ != State::done) return fail(Code::malformed, "body was cut short");
  return {};
}

std::uint64_t BodyDecoder::raw_remaining() const noexcept {
  if (state_ == State::raw || state_ == State::chunk_data) return remaining_;
  return state_ == State::until_close ? budget_ : 0;
}

void BodyDecoder::skip(std::size_t n) noexcept {
  if (state_ == State::until_close) {
    budget_ -= std::min<std::uint64_t>(n, budget_);
    return;
  }
  remaining_ -= std::min<std::uint64_t>(n, remaining_);
  if (remaining_ == 0) state_ = state_ == State::raw ? State::done : State::chunk_data_cr;
}

bool BodyDecoder::at_most_left(std::uint64_t bytes) const noexcept {
  return done() || (state_ == State::raw && remaining_ <= bytes);
}

}  // namespace tacit::http
