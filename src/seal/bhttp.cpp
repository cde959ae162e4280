#include "seal/bhttp.hpp"

#include <algorithm>

#include "core/text.hpp"
#include "seal/varint.hpp"

namespace tacit::seal {
namespace {

// RFC 9292 section 3.3.
constexpr std::uint64_t kKnownRequest = 0;
constexpr std::uint64_t kKnownResponse = 1;
constexpr std::uint64_t kIndeterminateRequest = 2;
constexpr std::uint64_t kIndeterminateResponse = 3;

std::unexpected<Error> too_large() {
  return fail(Code::too_large, "head of the binary HTTP message");
}

void put_text(Bytes& out, std::string_view text) {
  put_varint(out, text.size());
  const auto bytes = as_bytes(text);
  out.insert(out.end(), bytes.begin(), bytes.end());
}

void put_fields(Bytes& out, const BhttpFields& fields) {
  for (const auto& [name, value] : fields) {
    put_text(out, to_lower_ascii(name));
    put_text(out, value);
  }
  put_varint(out, 0);
}

bool is_token(std::string_view text) {
  static constexpr std::string_view others = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           others.find(c) != std::string_view::npos;
  });
}

bool is_value(std::string_view text) {
  return std::ranges::all_of(text, [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte >= 0x20 && byte != 0x7f) || c == '\t';
  });
}

bool is_visible(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; });
}

// A length and that many bytes. nullopt: more bytes are needed.
struct Text {
  std::string_view text;
  std::size_t consumed = 0;
};
Result<std::optional<Text>> get_text(BytesView in, std::size_t bytes_max) {
  const auto n = get_varint(in);
  if (!n) return std::nullopt;
  if (n->value > bytes_max) return too_large();
  const auto size = static_cast<std::size_t>(n->value);
  if (in.size() - n->consumed < size) return std::nullopt;
  return Text{as_text(in.subspan(n->consumed, size)), n->consumed + size};
}

struct Field {
  std::string_view name;  // empty: the end of the section
  std::string_view value;
  std::size_t consumed = 0;
};
Result<std::optional<Field>> get_field(BytesView in, std::size_t bytes_max) {
  TACIT_TRY(const auto name, get_text(in, bytes_max));
  if (!name) return std::nullopt;
  if (name->text.empty()) return Field{{}, {}, name->consumed};
  TACIT_TRY(const auto value, get_text(in.subspan(name->consumed), bytes_max));
  if (!value) return std::nullopt;
  if (!is_token(name->text) || !is_value(value->text)) {
    return fail(Code::malformed, "field of the binary HTTP message");
  }
  return Field{name->text, value->text, name->consumed + value->consumed};
}

}  // namespace

Bytes bhttp_head(const BhttpRequest& request) {
  Bytes out;
  put_varint(out, kIndeterminateRequest);
  for (const auto* text : {&request.method, &request.scheme, &request.authority, &request.path})
    put_text(out, *text);
  put_fields(out, request.fields);
  return out;
}

Bytes bhttp_head(const BhttpResponse& response) {
  Bytes out;
  put_varint(out, kIndeterminateResponse);
  put_varint(out, static_cast<std::uint64_t>(response.status));
  put_fields(out, response.fields);
  return out;
}

void put_bhttp_prefix(Bytes& out, std::size_t n) {
  if (n > 0) put_varint(out, n);
}

void put_bhttp_content(Bytes& out, BytesView content) {
  put_bhttp_prefix(out, content.size());
  out.insert(out.end(), content.begin(), content.end());
}

void put_bhttp_end(Bytes& out) { out.insert(out.end(), 2, std::byte{0}); }

Result<void> BhttpDecoder::feed(BytesView in, SecretText& content) {
  const bool joined = !held_.empty();
  if (joined) {
    held_.insert(held_.end(), in.begin(), in.end());
    in = held_;
  }
  while (!in.empty()) {
    TACIT_TRY(const auto taken, step(in, content));
    if (taken.consumed == 0) break;
    in = in.subspan(taken.consumed);
  }
  if (in.size() > limits_.head_bytes_max) return too_large();
  if (!joined || in.size() < held_.size()) held_ = Bytes{in.begin(), in.end()};
  return {};
}

Result<void> BhttpDecoder::end() {
  bool whole = held_.empty();
  switch (state_) {
    case State::framing:
    case State::control: whole = false; break;
    case State::fields: whole = whole && fields_seen_ == 0 && !informational_; break;
    // Of the indeterminate form, only a message without any content may stop before its end.
    case State::content_length: whole = whole && (known_length_ || remaining_ == 0); break;
    case State::content: whole = whole && known_length_ && remaining_ == 0; break;
    case State::trailers: whole = whole && fields_seen_ == 0; break;
    case State::padding: break;
  }
  if (!whole) return fail(Code::malformed, "binary HTTP message is cut short");
  state_ = State::padding;
  return {};
}

Result<BhttpDecoder::Step> BhttpDecoder::step(BytesView in, SecretText& content) {
  const bool head = state_ < State::content_length;
  Result<Step> taken = Step{};
  switch (state_) {
    case State::framing: taken = take_framing(in); break;
    case State::control: taken = take_control(in); break;
    case State::fields:
      taken = take_fields(in, informational_           ? nullptr
                              : kind_ == Kind::request ? &request_.fields
                                                       : &response_.fields);
      break;
    case State::content_length: taken = take_content_length(in); break;
    case State::content: taken = take_content(in, content); break;
    case State::trailers: taken = take_fields(in, nullptr); break;
    case State::padding: taken = take_padding(in); break;
  }
  if (taken && (head || state_ == State::trailers)) {
    head_bytes_ += taken->consumed;
    if (head_bytes_ > limits_.head_bytes_max) return too_large();
  }
  return taken;
}

Result<BhttpDecoder::Step> BhttpDecoder::take_framing(BytesView in) {
  const auto framing = get_varint(in);
  if (!framing) return Step{};
  const auto known = kind_ == Kind::request ? kKnownRequest : kKnownResponse;
  const auto indeterminate =
      kind_ == Kind::request ? kIndeterminateRequest : kIndeterminateResponse;
  if (framing->value != known && framing->value != indeterminate) {
    return fail(Code::unsupported, "framing of the binary HTTP message");
  }
  known_length_ = framing->value == known;
  state_ = State::control;
  return Step{framing->consumed};
}

Result<BhttpDecoder::Step> BhttpDecoder::take_control(BytesView in) {
  return kind_ == Kind::request ? take_request_line(in) : take_status(in);
}

Result<BhttpDecoder::Step> BhttpDecoder::take_request_line(BytesView in) {
  std::size_t consumed = 0;
  std::string_view parts[4];
  for (auto& part : parts) {
    TACIT_TRY(const auto text, get_text(in.subspan(consumed), limits_.head_bytes_max));
    if (!text) return Step{};
    part = text->text;
    consumed += text->consumed;
  }
  if (!is_token(parts[0]) || !is_visible(parts[1]) || !is_visible(parts[2]) ||
      !is_visible(parts[3]) || !parts[3].starts_with('/')) {
    return fail(Code::malformed, "request line of the binary HTTP message");
  }
  request_.method = parts[0];
  request_.scheme = parts[1];
  request_.authority = parts[2];
  request_.path = parts[3];
  state_ = State::fields;
  return Step{consumed};
}

Result<BhttpDecoder::Step> BhttpDecoder::take_status(BytesView in) {
  const auto status = get_varint(in);
  if (!status) return Step{};
  if (status->value < 100 || status->value > 599) {
    return fail(Code::malformed, "status of the binary HTTP message");
  }
  response_.status = static_cast<int>(status->value);
  informational_ = status->value < 200;
  state_ = State::fields;
  return Step{status->consumed};
}

void BhttpDecoder::fields_end() {
  fields_seen_ = 0;
  if (state_ == State::trailers) {
    state_ = State::padding;
  } else {
    state_ = informational_ ? State::control : State::content_length;
  }
}

Result<BhttpDecoder::Step> BhttpDecoder::take_fields(BytesView in, BhttpFields* fields) {
  std::size_t consumed = 0;
  auto section = in;
  if (known_length_) {
    TACIT_TRY(const auto whole, get_text(in, limits_.head_bytes_max));
    if (!whole) return Step{};
    consumed = whole->consumed;
    section = as_bytes(whole->text);
  }
  bool ended = known_length_;
  while (known_length_ ? !section.empty() : !ended) {
    TACIT_TRY(const auto field, get_field(section, limits_.head_bytes_max));
    if (!field && known_length_) return fail(Code::malformed, "fields overrun their section");
    if (!field) return Step{consumed};
    section = section.subspan(field->consumed);
    if (!known_length_) consumed += field->consumed;
    if (field->name.empty()) {
      if (known_length_) return fail(Code::malformed, "field without a name");
      ended = true;
      continue;
    }
    if (++fields_seen_ > limits_.fields_max) return too_large();
    if (fields != nullptr) fields->emplace_back(to_lower_ascii(field->name), field->value);
  }
  fields_end();
  return Step{consumed};
}

Result<BhttpDecoder::Step> BhttpDecoder::take_content_length(BytesView in) {
  const auto n = get_varint(in);
  if (!n) return Step{};
  remaining_ = n->value;
  state_ = State::content;
  if (n->value == 0) state_ = State::trailers;
  return Step{n->consumed};
}

Result<BhttpDecoder::Step> BhttpDecoder::take_content(BytesView in, SecretText& content) {
  const auto n = std::min<std::uint64_t>(remaining_, in.size());
  content.append(as_text(in.first(static_cast<std::size_t>(n))));
  remaining_ -= n;
  if (remaining_ == 0) {
    state_ = known_length_ ? State::trailers : State::content_length;
    if (!known_length_) remaining_ = 1;  // content was seen: its end must be, too
  }
  return Step{static_cast<std::size_t>(n)};
}

Result<BhttpDecoder::Step> BhttpDecoder::take_padding(BytesView in) {
  if (std::ranges::any_of(in, [](std::byte b) { return b != std::byte{0}; })) {
    return fail(Code::malformed, "binary HTTP message is followed by something");
  }
  return Step{in.size()};
}

}  // namespace tacit::seal
