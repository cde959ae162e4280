// A request head: the cut of the input does not matter; what is accepted can be written and read
// back without a change; and Boost.Beast reads it in the same way.
#include "beast_oracle.hpp"
#include "core/bytes.hpp"
#include "fuzz.hpp"

namespace {

using namespace tacit;
using namespace tacit::http;
namespace beast_http = tacit::fuzz::beast_http;

constexpr HeadLimits kLimits{.head_bytes_max = 4096, .headers_max = 20};
constexpr std::uint64_t kBodyMax = 1'000'000;

using Scan = Parsed<std::optional<std::size_t>>;

Scan scan_in_steps(std::string_view bytes, std::size_t step) {
  HeadScanner scanner{kLimits};
  Scan got;
  for (std::size_t n = 0; got && !*got && n < bytes.size();) {
    n = std::min(bytes.size(), n + step);
    got = scanner.scan(bytes.substr(0, n));
  }
  return got;
}

void check_round_trip(const ParsedRequest& request) {
  std::string text;
  FUZZ_CHECK(
      append_request_head(text, request.head.method, request.head.target, request.head.headers));
  const auto again = parse_request_head(text, kBodyMax);
  // HTTP/1.0 may lack a Host; written as 1.1 it is then refused, as it must be.
  if (request.minor_version == 0) return;
  FUZZ_CHECK(again.has_value());
  FUZZ_CHECK(again->head.method == request.head.method);
  FUZZ_CHECK(again->head.target == request.head.target);
  FUZZ_CHECK(std::ranges::equal(again->head.headers, request.head.headers));
  FUZZ_CHECK(again->framing.kind == request.framing.kind);
  FUZZ_CHECK(again->framing.length == request.framing.length);
  FUZZ_CHECK(again->keep_alive == request.keep_alive);
  FUZZ_CHECK(again->expects_continue == request.expects_continue);
}

void check_against_beast(std::string_view head, const ParsedRequest& request) {
  if (head.starts_with("\r\n")) head.remove_prefix(2);
  beast_http::parser<true, beast_http::string_body> parser;
  fuzz::set_up(parser);
  boost::system::error_code error;
  (void)parser.put(boost::asio::const_buffer{head.data(), head.size()}, error);
  FUZZ_CHECK(!error || error == beast_http::error::need_more);
  FUZZ_CHECK(parser.is_header_done());
  FUZZ_CHECK(fuzz::plain(parser.get().method_string()) == request.head.method);
  FUZZ_CHECK(fuzz::plain(parser.get().target()).ends_with(request.head.target) ||
             request.head.target.starts_with("/?") || request.head.target == "/");
  FUZZ_CHECK(parser.get().version() == 10U + static_cast<unsigned>(request.minor_version));
  fuzz::check_fields(parser, request.head.headers);
  fuzz::check_framing(parser, request.framing);
  FUZZ_CHECK(parser.keep_alive() == request.keep_alive);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes{reinterpret_cast<const char*>(data), size};
  const auto whole = scan_in_steps(bytes, std::max<std::size_t>(size, 1));
  for (const std::size_t step : {1U, 2U, 7U}) {
    const auto cut = scan_in_steps(bytes, step);
    FUZZ_CHECK(cut.has_value() == whole.has_value());
    if (cut) FUZZ_CHECK(*cut == *whole);
    if (!cut) FUZZ_CHECK(cut.error().status == whole.error().status);
  }
  if (!whole || !*whole) return 0;
  const auto head = bytes.substr(0, **whole);
  const auto request = parse_request_head(head, kBodyMax);
  if (!request) {
    FUZZ_CHECK(request.error().status >= 400 && request.error().status < 600);
    return 0;
  }
  FUZZ_CHECK(request->head.target.starts_with('/') || request->head.target == "*");
  FUZZ_CHECK(request->framing.length <= kBodyMax);
  check_round_trip(*request);
  check_against_beast(head, *request);
  return 0;
}
