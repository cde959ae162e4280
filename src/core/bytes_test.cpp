#include "core/bytes.hpp"

#include <gtest/gtest.h>

namespace tacit {
namespace {

TEST(ByteReader, ReadsWhatByteWriterWrote) {
  ByteWriter out;
  out.u8(1);
  out.u16(0x0203);
  out.u32(0x04050607);
  out.u64(0x08090A0B0C0D0E0F);
  out.u16_be(0x0102);
  out.u32_be(0x03040506);
  out.u64_be(0x0708090A0B0C0D0E);
  out.f32(1.5F);
  out.sized("abc");
  const auto bytes = std::move(out).take();
  ByteReader in{bytes};
  EXPECT_EQ(in.u8().value(), 1);
  EXPECT_EQ(in.u16().value(), 0x0203);
  EXPECT_EQ(in.u32().value(), 0x04050607u);
  EXPECT_EQ(in.u64().value(), 0x08090A0B0C0D0E0Fu);
  EXPECT_EQ(in.u16_be().value(), 0x0102);
  EXPECT_EQ(in.u32_be().value(), 0x03040506u);
  EXPECT_EQ(in.u64_be().value(), 0x0708090A0B0C0D0Eu);
  EXPECT_EQ(in.f32().value(), 1.5F);
  EXPECT_EQ(as_text(in.sized(3).value()), "abc");
  EXPECT_TRUE(in.done());
}

TEST(ByteReader, AFailedReadConsumesNothing) {
  const auto bytes = as_bytes("abc");
  ByteReader in{bytes};
  EXPECT_EQ(in.u32().error().code(), Code::malformed);
  EXPECT_EQ(in.remaining(), 3u);
  EXPECT_EQ(in.take(4).error().code(), Code::malformed);
  EXPECT_EQ(in.offset(), 0u);
}

TEST(ByteReader, ALengthOverItsLimitIsRefusedBeforeItIsBelieved) {
  ByteWriter out;
  out.u32(0xFFFFFFFF);
  const auto bytes = std::move(out).take();
  ByteReader in{bytes};
  const auto refused = in.sized(16);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::too_large);
  EXPECT_EQ(refused.error().value("limit"), 16);
  EXPECT_EQ(in.remaining(), 4u);
}

}  // namespace
}  // namespace tacit
