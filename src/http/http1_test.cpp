#include "http/http1.hpp"

#include <array>

#include <gtest/gtest.h>

#include "http/body.hpp"

namespace tacit::http {
namespace {

constexpr std::uint64_t kBodyMax = 1000;

// The status that a request head gets: 200 when it is accepted.
int status_of(const std::string& bytes, HeadLimits limits = {}) {
  HeadScanner scanner{limits};
  const auto size = scanner.scan(bytes);
  if (!size) return size.error().status;
  if (!*size) return 0;  // more is needed
  const auto request = parse_request_head(std::string_view{bytes}.substr(0, **size), kBodyMax);
  return request ? 200 : request.error().status;
}

struct Case {
  const char* name;
  std::string bytes;
  int status;
};

std::string get(const std::string& fields) {
  return "GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n";
}
std::string post(const std::string& fields) {
  return "POST / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n";
}

const std::vector<Case>& cases() {
  using namespace std::string_literals;
  static const std::vector<Case> kCases{
      // What is fine
      {"plain", get(""), 200},
      {"1.0 without Host", "GET / HTTP/1.0\r\n\r\n", 200},
      {"one empty line before", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 200},
      {"value with spaces, tab, upper half", get("A:  b \t\xc3\xa4 \r\n"), 200},
      {"empty value", get("A:\r\n"), 200},
      {"length", post("Content-Length: 10\r\n"), 200},
      {"chunked, any case", post("Transfer-Encoding: Chunked\r\n"), 200},
      {"continue", post("Content-Length: 1\r\nExpect: 100-Continue\r\n"), 200},
      {"absolute form", "GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n", 200},
      {"absolute form, port, case", "GET http://A:80/x HTTP/1.1\r\nHost: a:80\r\n\r\n", 200},
      {"options star", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 200},
      {"v6 host", "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", 200},
      {"incomplete", "GET / HTTP/1.1\r\nHost: a\r\n", 0},
      // Two readings of a body's length
      {"length and coding", post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"), 400},
      {"coding and length", post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n"), 400},
      {"repeated equal length", post("Content-Length: 4\r\nContent-Length: 4\r\n"), 400},
      {"differing lengths", post("Content-Length: 4\r\nContent-Length: 5\r\n"), 400},
      {"list of lengths", post("Content-Length: 4, 4\r\n"), 400},
      {"plus sign", post("Content-Length: +4\r\n"), 400},
      {"minus sign", post("Content-Length: -4\r\n"), 400},
      {"hex length", post("Content-Length: 0x4\r\n"), 400},
      {"inner space", post("Content-Length: 4 4\r\n"), 400},
      {"empty length", post("Content-Length:\r\n"), 400},
      {"fraction", post("Content-Length: 4.0\r\n"), 400},
      {"length beyond 64 bits", post("Content-Length: 18446744073709551617\r\n"), 400},
      {"length beyond 63 bits", post("Content-Length: 9223372036854775808\r\n"), 400},
      {"length over the limit", post("Content-Length: 1001\r\n"), 413},
      {"huge but valid length", post("Content-Length: 9223372036854775807\r\n"), 413},
      {"space before colon", post("Content-Length : 4\r\n"), 400},
      {"tab before colon", post("Transfer-Encoding\t: chunked\r\n"), 400},
      {"control before coding", post("Transfer-Encoding: \x0b"s + "chunked\r\n"), 400},
      {"coding identity", post("Transfer-Encoding: identity\r\n"), 400},
      {"coding list", post("Transfer-Encoding: gzip, chunked\r\n"), 400},
      {"coding twice in one", post("Transfer-Encoding: chunked, chunked\r\n"), 400},
      {"repeated coding", post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
       400},
      {"quoted coding", post("Transfer-Encoding: \"chunked\"\r\n"), 400},
      {"coding with parameter", post("Transfer-Encoding: chunked;q=1\r\n"), 400},
      {"xchunked", post("Transfer-Encoding: xchunked\r\n"), 400},
      {"empty coding", post("Transfer-Encoding:\r\n"), 400},
      {"coding in 1.0", "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      // Line ends and bytes
      {"folded line", get("A: b\r\n c\r\n"), 400},
      {"folded with tab", get("A: b\r\n\tc\r\n"), 400},
      {"space on first header", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400},
      {"bare LF", "GET / HTTP/1.1\nHost: a\n\n", 400},
      {"bare LF in a value", get("A: b\nContent-Length: 4\r\n"), 400},
      {"bare CR in a value", get("A: b\rContent-Length: 4\r\n"), 400},
      {"CR CR LF", get("A: b\r\r\n"), 400},
      {"NUL in a value", get("A: b\0c\r\n"s), 400},
      {"NUL in a name", get("A\0b: c\r\n"s), 400},
      {"DEL", get("A: \x7f\r\n"), 400},
      {"two empty lines before", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"no list of options", get("Connection: clo\xc3\xa4\r\n"), 400},
      {"no colon", get("Abc\r\n"), 400},
      {"empty name", get(": b\r\n"), 400},
      {"name with a slash", get("A/b: c\r\n"), 400},
      {"name in the upper half", get("\xc3\xa4: c\r\n"), 400},
      {"TLS on a plain port", "\x16\x03\x01\x02\x00\x01"s, 400},
      // Host
      {"no Host", "GET / HTTP/1.1\r\n\r\n", 400},
      {"two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},
      {"empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400},
      {"Host list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400},
      {"Host with a user", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400},
      {"Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
      {"Host with a bad port", "GET / HTTP/1.1\r\nHost: a:8x\r\n\r\n", 400},
      {"absolute form for another", "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"absolute form with a user", "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      // Request line
      {"two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"no target", "GET  HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"tabs", "GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"space at the end", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400},
      {"no version", "GET /\r\nHost: a\r\n\r\n", 400},
      {"lower-case http", "GET / http/1.1\r\nHost: a\r\n\r\n", 400},
      {"long version", "GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400},
      {"bad method", "G@T / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"relative target", "GET x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"fragment", "GET /#x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"upper half in the target", "GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"half an escape", "GET /%4 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"star for GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400},
      {"CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", 501},
      {"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      {"HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", 505},
      {"HTTP/0.9", "GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505},
      {"unknown expectation", post("Expect: 200-ok\r\n"), 417},
      {"two expectations", post("Expect: 100-continue\r\nExpect: 100-continue\r\n"), 417},
  };
  return kCases;
}

TEST(RequestHead, TableOfSmuggling) {
  for (const auto& c : cases()) EXPECT_EQ(status_of(c.bytes), c.status) << c.name;
}

TEST(RequestHead, TheCutDoesNotMatter) {
  for (const auto& c : cases()) {
    HeadScanner whole{{}};
    const auto expected = whole.scan(c.bytes);
    HeadScanner scanner{{}};
    Parsed<std::optional<std::size_t>> got;
    for (std::size_t n = 0; n <= c.bytes.size() && got && !*got; ++n) {
      got = scanner.scan(std::string_view{c.bytes}.substr(0, n));
    }
    ASSERT_EQ(got.has_value(), expected.has_value()) << c.name;
    if (got) EXPECT_EQ(*got, *expected) << c.name;
    if (!got) EXPECT_EQ(got.error().status, expected.error().status) << c.name;
  }
}

TEST(RequestHead, Limits) {
  EXPECT_EQ(status_of(get(""), {.head_bytes_max = 27}), 200);
  EXPECT_EQ(get("").size(), 27U);
  EXPECT_EQ(status_of(get(""), {.head_bytes_max = 26}), 431);
  EXPECT_EQ(status_of("GET /" + std::string(40'000, 'a')), 431);
  std::string many;
  for (int i = 0; i < 99; ++i) many += "A: b\r\n";
  EXPECT_EQ(status_of(get(many)), 200);
  EXPECT_EQ(status_of(get(many + "A: b\r\n")), 431);
}

TEST(RequestHead, WhatIsRead) {
  const auto request = parse_request_head(
      "POST http://a:1/x%20y?q=1 HTTP/1.1\r\nhOST: a:1\r\nX: \t v w \r\nConnection: x , Close\r\n"
      "Content-Length: 7\r\nExpect: 100-continue\r\n\r\n",
      kBodyMax);
  ASSERT_TRUE(request);
  EXPECT_EQ(request->head.method, "POST");
  EXPECT_EQ(request->head.target, "/x%20y?q=1");
  EXPECT_EQ(request->head.path(), "/x%20y");
  EXPECT_EQ(request->head.query(), "q=1");
  EXPECT_EQ(request->head.headers.find("x"), "v w");
  EXPECT_EQ(request->framing.kind, Framing::Kind::length);
  EXPECT_EQ(request->framing.length, 7U);
  EXPECT_FALSE(request->keep_alive);
  EXPECT_TRUE(request->expects_continue);
  const auto bare = parse_request_head("GET http://a?q HTTP/1.1\r\nHost: a\r\n\r\n", kBodyMax);
  ASSERT_TRUE(bare);
  EXPECT_EQ(bare->head.target, "/?q");
  const auto old = parse_request_head("GET / HTTP/1.0\r\n\r\n", kBodyMax);
  ASSERT_TRUE(old);
  EXPECT_FALSE(old->keep_alive);
  const auto kept =
      parse_request_head("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", kBodyMax);
  ASSERT_TRUE(kept);
  EXPECT_TRUE(kept->keep_alive);
}

TEST(ResponseHead, FramingByMethodAndStatus) {
  const auto kind = [](const std::string& head, const char* method) {
    const auto response = parse_response_head(head, method);
    return response ? std::optional{response->framing.kind} : std::nullopt;
  };
  using Kind = Framing::Kind;
  EXPECT_EQ(kind("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "GET"), Kind::length);
  EXPECT_EQ(kind("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "HEAD"), Kind::none);
  EXPECT_EQ(kind("HTTP/1.1 204 \r\n\r\n", "GET"), Kind::none);
  EXPECT_EQ(kind("HTTP/1.1 304\r\nContent-Length: 9\r\n\r\n", "GET"), Kind::none);
  EXPECT_EQ(kind("HTTP/1.1 100 Continue\r\n\r\n", "GET"), Kind::none);
  EXPECT_EQ(kind("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "GET"), Kind::chunked);
  EXPECT_EQ(kind("HTTP/1.0 200 OK\r\n\r\n", "GET"), Kind::until_close);
  for (const char* refused :
       {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 99 OK\r\n\r\n", "HTTP/1.1 600 OK\r\n\r\n", "HTTP/1.1 2000\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "ICY 200 OK\r\n\r\n"}) {
    EXPECT_FALSE(parse_response_head(refused, "GET")) << refused;
  }
}

TEST(Writing, NothingBreaksOutOfItsLine) {
  std::string out = "before";
  ResponseHead head;
  for (const char* bad : {"a\r\nb: c", "a\nb", "a\rb", " a", "a ", "a\x7f"}) {
    head.headers = {};
    head.headers.add("x", bad);
    EXPECT_FALSE(append_response_head(out, head)) << bad;
    EXPECT_FALSE(append_request_head(out, "GET", "/", head.headers)) << bad;
  }
  head.headers = {};
  head.headers.add("a b", "c");
  EXPECT_FALSE(append_response_head(out, head));
  EXPECT_FALSE(append_request_head(out, "GET", "/ HTTP/1.1\r\nA: b", {}));
  EXPECT_FALSE(append_request_head(out, "G T", "/", {}));
  EXPECT_EQ(out, "before");
  EXPECT_EQ(chunk_header(1), "1\r\n");
  EXPECT_EQ(chunk_header(0xdeadbeef), "deadbeef\r\n");
}

// Decodes with `step` input bytes at a time and `data_max` of room.
Result<std::string> decode(const std::string& in, std::size_t step, std::size_t data_max,
                           std::uint64_t limit = kBodyMax,
                           Framing framing = {Framing::Kind::chunked}) {
  BodyDecoder decoder{framing, limit};
  std::string out;
  std::string pending;
  for (std::size_t at = 0; at < in.size() && !decoder.done();) {
    const auto n = std::min(step, in.size() - at);
    pending += in.substr(at, n);
    at += n;
    while (!pending.empty() && !decoder.done()) {
      TACIT_TRY(const auto piece, decoder.next(as_bytes(pending), data_max));
      if (piece.consumed == 0) break;
      out += as_text(piece.data);
      pending.erase(0, piece.consumed);
    }
  }
  TACIT_CHECK(decoder.end_of_stream());
  return out;
}

TEST(ChunkedBody, DecodesInAnyCut) {
  const std::string body =
      "4\r\nWiki\r\n5;name=\"v\";x\r\npedia\r\n00E\r\n in \r\n\r\nchunks\r\n0\r\nTrailer: x\r\nB: "
      "c\r\n\r\n";
  for (std::size_t step = 1; step <= body.size(); ++step) {
    for (const std::size_t room : {1U, 3U, 100U}) {
      const auto text = decode(body, step, room);
      ASSERT_TRUE(text) << step;
      EXPECT_EQ(*text, "Wikipedia in \r\n\r\nchunks");
    }
  }
}

TEST(ChunkedBody, RefusesWhatIsNotExact) {
  for (const char* bad :
       {"+4\r\nWiki\r\n0\r\n\r\n", "-4\r\nWiki\r\n0\r\n\r\n", " 4\r\nWiki\r\n0\r\n\r\n",
        "4 \r\nWiki\r\n0\r\n\r\n", "0x4\r\nWiki\r\n0\r\n\r\n", "4\nWiki\r\n0\r\n\r\n",
        "4\rWiki\r\n0\r\n\r\n", "4\r\nWikiX\r\n0\r\n\r\n", "4\r\nWiki\n0\r\n\r\n", "\r\n0\r\n\r\n",
        ";x\r\n0\r\n\r\n", "g\r\n0\r\n\r\n", "4;a\nb\r\nWiki\r\n0\r\n\r\n", "0\r\n\n",
        "0\r\n x: y\r\n\r\n", "0\r\nA: \x01\r\n\r\n", "0\r\nno colon\r\n\r\n", "0\r\nA : b\r\n\r\n",
        "0;\r\n\r\n", "0;=\r\n\r\n", "0;a=\r\n\r\n", "0;a b\r\n\r\n", "0;a=\"b\r\n\r\n",
        // 2^64 + 4, which wraps to 4 in careless arithmetic
        "10000000000000004\r\nWiki\r\n0\r\n\r\n"}) {
    for (const std::size_t step : {1U, 100U}) {
      const auto text = decode(bad, step, 100);
      ASSERT_FALSE(text) << bad;
      EXPECT_EQ(text.error().code(), Code::malformed) << bad;
    }
  }
}

TEST(ChunkedBody, Limits) {
  EXPECT_TRUE(decode("3\r\nabc\r\n0\r\n\r\n", 100, 100, 3));
  for (const char* big : {"3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n", "4\r\nabcd\r\n0\r\n\r\n",
                          // The sizes add up to 3 modulo 2^64.
                          "2\r\nab\r\nffffffffffffffff\r\n", "ffffffffffffffff\r\n"}) {
    const auto text = decode(big, 100, 100, 3);
    ASSERT_FALSE(text) << big;
    EXPECT_EQ(text.error().code(), Code::too_large) << big;
  }
  const auto extension = decode("1;" + std::string(20'000, 'x') + "\r\na\r\n0\r\n\r\n", 100, 100);
  ASSERT_FALSE(extension);
  EXPECT_EQ(extension.error().code(), Code::too_large);
  const auto trailer = decode("0\r\nA: " + std::string(20'000, 'x') + "\r\n\r\n", 100, 100);
  ASSERT_FALSE(trailer);
  EXPECT_EQ(trailer.error().code(), Code::too_large);
}

TEST(Body, LengthAndEndOfStream) {
  EXPECT_EQ(decode("abcde", 2, 1, kBodyMax, {Framing::Kind::length, 3}).value_or("failed"), "abc");
  EXPECT_FALSE(decode("ab", 2, 1, kBodyMax, {Framing::Kind::length, 3}));
  EXPECT_FALSE(decode("4\r\nWi", 2, 100));
  EXPECT_FALSE(decode("0\r\n", 2, 100));
  EXPECT_EQ(decode("abc", 2, 1, kBodyMax, {Framing::Kind::until_close}).value_or("failed"), "abc");
  EXPECT_FALSE(decode("abcd", 2, 100, 3, {Framing::Kind::until_close}));
  BodyDecoder none;
  EXPECT_TRUE(none.done());
  BodyDecoder raw{{Framing::Kind::length, 10}, kBodyMax};
  EXPECT_EQ(raw.raw_remaining(), 10U);
  raw.skip(9);
  EXPECT_TRUE(raw.at_most_left(1));
  EXPECT_FALSE(raw.done());
  raw.skip(1);
  EXPECT_TRUE(raw.done());
}

}  // namespace
}  // namespace tacit::http
