// A response head: the cut of the input does not matter, what is accepted can be written and read
// back, and Boost.Beast reads it in the same way.
#include "beast_oracle.hpp"
#include "core/bytes.hpp"
#include "fuzz.hpp"

namespace {

using namespace tacit;
using namespace tacit::http;
namespace beast_http = tacit::fuzz::beast_http;

constexpr HeadLimits kLimits{.head_bytes_max = 4096, .headers_max = 20};

void check_against_beast(std::string_view head, const ParsedResponse& response) {
  if (head[12] != ' ') return;  // the space before an empty reason, which some servers leave out
  beast_http::parser<false, beast_http::string_body> parser;
  fuzz::set_up(parser);
  boost::system::error_code error;
  (void)parser.put(boost::asio::const_buffer{head.data(), head.size()}, error);
  FUZZ_CHECK(!error || error == beast_http::error::need_more);
  FUZZ_CHECK(parser.is_header_done());
  FUZZ_CHECK(static_cast<int>(parser.get().result_int()) == response.head.status);
  fuzz::check_fields(parser, response.head.headers);
  if (response.framing.kind != Framing::Kind::none) fuzz::check_framing(parser, response.framing);
}

void check_round_trip(const ParsedResponse& response) {
  std::string text;
  FUZZ_CHECK(append_response_head(text, response.head));
  const auto again = parse_response_head(text, "GET");
  FUZZ_CHECK(again.has_value());
  FUZZ_CHECK(again->head.status == response.head.status);
  FUZZ_CHECK(std::ranges::equal(again->head.headers, response.head.headers));
  FUZZ_CHECK(again->framing.kind == response.framing.kind);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  HeadScanner scanner{kLimits};
  const auto whole = scanner.scan(bytes);
  HeadScanner slow_scanner{kLimits};
  Parsed<std::optional<std::size_t>> slow;
  for (std::size_t n = 1; slow && !*slow && n <= size; ++n)
    slow = slow_scanner.scan(bytes.substr(0, n));
  FUZZ_CHECK(slow.has_value() == whole.has_value());
  if (!whole || !*whole) return 0;
  FUZZ_CHECK(*slow == *whole);
  const auto head = bytes.substr(0, **whole);
  for (const std::string_view method : {"GET", "HEAD"}) {
    const auto response = parse_response_head(head, method);
    if (!response) continue;
    if (method == "HEAD") FUZZ_CHECK(response->framing.kind == Framing::Kind::none);
    if (method == "HEAD") continue;
    check_round_trip(*response);
    check_against_beast(head, *response);
  }
  return 0;
}
