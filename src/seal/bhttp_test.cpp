#include "seal/bhttp.hpp"

#include <random>

#include <gtest/gtest.h>

#include "core/text.hpp"
#include "seal/varint.hpp"

namespace tacit::seal {
namespace {

using Kind = BhttpDecoder::Kind;

// The examples of RFC 9292 section 5.
constexpr std::string_view kKnownRequest =
    "0003474554056874747073000a2f68656c6c6f2e747874406c0a757365722d6167656e74346375726c2f372e31362e"
    "33206c69626375726c2f372e31362e33204f70656e53534c2f302e392e376c207a6c69622f312e322e3304686f7374"
    "0f7777772e6578616d706c652e636f6d0f6163636570742d6c616e677561676506656e2c206d690000";
constexpr std::string_view kIndeterminateRequest =
    "0203474554056874747073000a2f68656c6c6f2e7478740a757365722d6167656e74346375726c2f372e31362e3320"
    "6c69626375726c2f372e31362e33204f70656e53534c2f302e392e376c207a6c69622f312e322e3304686f73740f77"
    "77772e6578616d706c652e636f6d0f6163636570742d6c616e677561676506656e2c206d6900000000000000000000"
    "000000";
constexpr std::string_view kInterimResponse =
    "0340660772756e6e696e670a22736c65657020313522004067046c696e6b233c2f7374796c652e6373733e3b207265"
    "6c3d7072656c6f61643b2061733d7374796c65046c696e6b243c2f7363726970742e6a733e3b2072656c3d7072656c"
    "6f61643b2061733d7363726970740040c804646174651d4d6f6e2c203237204a756c20323030392031323a32383a35"
    "3320474d5406736572766572064170616368650d6c6173742d6d6f6469666965641d5765642c203232204a756c2032"
    "3030392031393a31353a353620474d5404657461671422333461613338372d642d3135363865623030220d61636365"
    "70742d72616e6765730562797465730e636f6e74656e742d6c656e67746802353104766172790f4163636570742d45"
    "6e636f64696e670c636f6e74656e742d747970650a746578742f706c61696e003348656c6c6f20576f726c6421204d"
    "7920636f6e74656e7420696e636c75646573206120747261696c696e672043524c462e0d0a0000";
constexpr std::string_view kTrailerResponse =
    "0140c8001d5468697320636f6e74656e7420636f6e7461696e732043524c462e0d0a0d07747261696c657204746578"
    "74";

struct Read {
  BhttpDecoder decoder;
  std::string content;
  std::optional<Error> error;
};

Read read(BytesView message, Kind kind, std::size_t piece = 1, BhttpLimits limits = {}) {
  Read out{BhttpDecoder{kind, limits}, {}, {}};
  SecretText content;
  for (std::size_t at = 0; at < message.size(); at += piece) {
    const auto part = message.subspan(at, std::min(piece, message.size() - at));
    if (auto fed = out.decoder.feed(part, content); !fed) {
      out.error = fed.error();
      return out;
    }
  }
  if (auto ended = out.decoder.end(); !ended) out.error = ended.error();
  out.content = content.reveal();
  return out;
}

TEST(Bhttp, ReadsTheExamplesOfTheRfc) {
  for (const std::size_t piece : {1u, 7u, 10'000u}) {
    for (const auto text : {kKnownRequest, kIndeterminateRequest}) {
      auto got = read(*from_hex(text), Kind::request, piece);
      ASSERT_FALSE(got.error);
      const auto& request = got.decoder.request();
      EXPECT_EQ(request.method, "GET");
      EXPECT_EQ(request.scheme, "https");
      EXPECT_EQ(request.authority, "");
      EXPECT_EQ(request.path, "/hello.txt");
      ASSERT_EQ(request.fields.size(), 3u);
      EXPECT_EQ(request.fields[1].first, "host");
      EXPECT_EQ(request.fields[1].second, "www.example.com");
      EXPECT_EQ(got.content, "");
    }
    auto interim = read(*from_hex(kInterimResponse), Kind::response, piece);
    ASSERT_FALSE(interim.error);
    EXPECT_EQ(interim.decoder.response().status, 200);
    EXPECT_EQ(interim.decoder.response().fields.size(), 8u);
    EXPECT_EQ(interim.content, "Hello World! My content includes a trailing CRLF.\r\n");
    auto trailer = read(*from_hex(kTrailerResponse), Kind::response, piece);
    ASSERT_FALSE(trailer.error);
    EXPECT_EQ(trailer.content, "This content contains CRLF.\r\n");
    EXPECT_TRUE(trailer.decoder.response().fields.empty());
  }
}

TEST(Bhttp, AcceptsTruncationOnlyWhereNothingIsLost) {
  // RFC 9292 section 3.8: empty content and trailers may be left out, nothing else.
  const auto known = *from_hex(kKnownRequest);
  for (std::size_t n = 0; n < known.size(); ++n) {
    const auto got = read(BytesView{known}.first(n), Kind::request);
    // After the request line, and after the fields.
    const bool allowed = n == 23 || n >= known.size() - 2;
    EXPECT_EQ(!got.error, allowed) << n;
  }
  const auto streamed = *from_hex(kIndeterminateRequest);
  for (std::size_t n = 0; n < streamed.size(); ++n) {
    const auto got = read(BytesView{streamed}.first(n), Kind::request);
    const bool allowed = n == 23 || n >= streamed.size() - 12;
    EXPECT_EQ(!got.error, allowed) << n;
  }
  const auto response = *from_hex(kInterimResponse);
  for (std::size_t n = response.size() - 54; n < response.size(); ++n) {
    const auto got = read(BytesView{response}.first(n), Kind::response);
    // Before any content, and after its end.
    const bool allowed = n == response.size() - 54 || n >= response.size() - 1;
    EXPECT_EQ(!got.error, allowed) << n;
  }
}

TEST(Bhttp, WhatItWritesItReads) {
  std::mt19937 dice{3};
  for (int round = 0; round < 200; ++round) {
    BhttpRequest request{"POST", "https", "api.example", "/v1/chat?x=%20", {}};
    for (unsigned i = dice() % 5; i-- > 0;)
      request.fields.emplace_back("x-" + std::to_string(i), std::string(dice() % 100, 'v'));
    auto message = bhttp_head(request);
    std::string content;
    for (unsigned i = dice() % 4; i-- > 0;) {
      const std::string piece(dice() % 70'000, static_cast<char>('a' + i));
      put_bhttp_content(message, as_bytes(piece));
      content += piece;
    }
    put_bhttp_end(message);
    message.resize(message.size() + dice() % 3);  // padding
    auto got = read(message, Kind::request, 1 + dice() % 9000);
    ASSERT_FALSE(got.error);
    EXPECT_EQ(got.decoder.request().fields, request.fields);
    EXPECT_EQ(got.decoder.request().path, request.path);
    EXPECT_TRUE(got.content == content);
  }
}

Bytes request_with(const BhttpRequest& request) {
  auto message = bhttp_head(request);
  put_bhttp_end(message);
  return message;
}

TEST(Bhttp, RefusesWhatHttp1WouldReadAsSomethingElse) {
  const BhttpRequest good{"GET", "https", "", "/", {{"a", "b"}}};
  EXPECT_FALSE(read(request_with(good), Kind::request).error);
  auto bad = good;
  bad.method = "GET /x";
  EXPECT_TRUE(read(request_with(bad), Kind::request).error);
  bad = good;
  bad.path = "/x y";
  EXPECT_TRUE(read(request_with(bad), Kind::request).error);
  bad = good;
  bad.path = "http://elsewhere/";
  EXPECT_TRUE(read(request_with(bad), Kind::request).error);
  bad = good;
  bad.fields[0].second = "b\r\nx: y";
  EXPECT_TRUE(read(request_with(bad), Kind::request).error);
  bad = good;
  bad.fields[0].first = ":path";
  EXPECT_TRUE(read(request_with(bad), Kind::request).error);
  bad = good;
  bad.fields[0].first = "a b";
  EXPECT_TRUE(read(request_with(bad), Kind::request).error);
  auto tail = request_with(good);
  tail.push_back(std::byte{1});
  EXPECT_TRUE(read(tail, Kind::request).error);
  EXPECT_TRUE(read(request_with(good), Kind::response).error);
}

TEST(Bhttp, KeepsItsLimits) {
  BhttpRequest many{"GET", "https", "", "/", {}};
  for (int i = 0; i < 11; ++i) many.fields.emplace_back("a", "b");
  EXPECT_EQ(read(request_with(many), Kind::request, 50, {64 * 1024, 10}).error->code(),
            Code::too_large);
  BhttpRequest large{"GET", "https", "", "/", {{"a", std::string(2000, 'x')}}};
  EXPECT_EQ(read(request_with(large), Kind::request, 50, {1000, 10}).error->code(),
            Code::too_large);
  // Informational responses without end are no way around them.
  Bytes endless{std::byte{3}};
  for (int i = 0; i < 1000; ++i) {
    put_varint(endless, 103);
    put_varint(endless, 0);
  }
  EXPECT_EQ(read(endless, Kind::response, 50, {1000, 10}).error->code(), Code::too_large);
  // A length that is not believed before its bytes come.
  Bytes huge{std::byte{2}};
  put_varint(huge, kVarintMax);
  EXPECT_EQ(read(huge, Kind::request).error->code(), Code::too_large);
}

}  // namespace
}  // namespace tacit::seal
