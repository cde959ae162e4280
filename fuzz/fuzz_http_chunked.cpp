// A chunked body: the cut of the input and the room for output do not matter; a whole body is one
// for Boost.Beast as well, with the same content; and encoding is the inverse of decoding.
#include <algorithm>

#include "beast_oracle.hpp"
#include "fuzz.hpp"
#include "http/body.hpp"

namespace {

using namespace tacit;
using namespace tacit::http;
namespace beast_http = tacit::fuzz::beast_http;

constexpr std::uint64_t kBodyMax = 10'000;

struct Outcome {
  std::optional<Code> error;
  bool done = false;
  std::size_t consumed = 0;
  std::string body;
};

Outcome decode(std::string_view in, std::size_t step, std::size_t room) {
  Outcome out;
  BodyDecoder decoder{{.kind = Framing::Kind::chunked}, kBodyMax};
  std::size_t seen = 0;
  while (seen < in.size() && !decoder.done()) {
    seen = std::min(in.size(), seen + step);
    while (out.consumed < seen && !decoder.done()) {
      const auto piece = decoder.next(as_bytes(in.substr(out.consumed, seen - out.consumed)), room);
      if (!piece) {
        out.error = piece.error().code();
        return out;
      }
      FUZZ_CHECK(piece->consumed > 0);
      FUZZ_CHECK(piece->data.size() <= std::min(room, piece->consumed));
      out.body += as_text(piece->data);
      out.consumed += piece->consumed;
    }
  }
  out.done = decoder.done();
  FUZZ_CHECK(decoder.end_of_stream().has_value() == out.done);
  return out;
}

void check_against_beast(std::string_view whole, const std::string& body) {
  beast_http::parser<true, beast_http::string_body> parser;
  fuzz::set_up(parser);
  const std::string message =
      "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + std::string{whole};
  std::size_t used = 0;
  boost::system::error_code error;
  while (used < message.size() && !parser.is_done() && !error) {
    const auto n =
        parser.put(boost::asio::const_buffer{message.data() + used, message.size() - used}, error);
    used += n;
    if (n == 0) break;
  }
  FUZZ_CHECK(!error);
  FUZZ_CHECK(parser.is_done());
  FUZZ_CHECK(parser.get().body() == body);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view in{reinterpret_cast<const char*>(data), size};
  const auto whole = decode(in, std::max<std::size_t>(size, 1), 1'000'000);
  FUZZ_CHECK(whole.body.size() <= kBodyMax);
  for (const std::size_t step : {1U, 3U, 64U}) {
    for (const std::size_t room : {1U, 5U, 100'000U}) {
      const auto cut = decode(in, step, room);
      FUZZ_CHECK(cut.error == whole.error);
      FUZZ_CHECK(cut.done == whole.done);
      if (!whole.error) FUZZ_CHECK(cut.body == whole.body && cut.consumed == whole.consumed);
    }
  }
  if (whole.done) check_against_beast(in.substr(0, whole.consumed), whole.body);

  if (size == 0 || size > kBodyMax) return 0;
  const auto encoded =
      chunk_header(size) + std::string{in} + std::string{kChunkEnd} + std::string{kLastChunk};
  const auto decoded = decode(encoded, 7, 11);
  FUZZ_CHECK(decoded.done && decoded.body == in);
  return 0;
}
