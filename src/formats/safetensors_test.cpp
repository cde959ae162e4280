#include "formats/safetensors.hpp"

#include <gtest/gtest.h>

#include <string>

namespace tacit::formats {
namespace {

Bytes file(const std::string& header, std::size_t data_bytes) {
  ByteWriter out;
  out.u64(header.size());
  out.raw(header);
  out.raw(std::string(data_bytes, '\0'));
  return std::move(out).take();
}
Result<SafetensorsFile> parse(const std::string& header, std::size_t data_bytes) {
  const auto bytes = file(header, data_bytes);
  return parse_safetensors(bytes, bytes.size());
}
std::string tensor(const std::string& name, const std::string& type, const std::string& shape,
                   const std::string& place) {
  return "\"" + name + R"(":{"dtype":")" + type + R"(","shape":)" + shape + R"(,"data_offsets":)" +
         place + "}";
}

TEST(Safetensors, ReadsTensorsInTheirPlaces) {
  const auto parsed =
      parse("{" + tensor("b", "F16", "[2,2]", "[4,12]") + "," + tensor("a", "F32", "[]", "[0,4]") +
                R"(,"__metadata__":{"format":"pt"}})",
            12);
  ASSERT_TRUE(parsed) << parsed.error().message();
  ASSERT_EQ(parsed->tensors.size(), 2u);
  EXPECT_EQ(parsed->tensors[0].name, "a");
  EXPECT_EQ(parsed->metadata.at("format"), "pt");
  EXPECT_TRUE(parse("{}", 0));
  EXPECT_TRUE(parse("{" + tensor("a", "F32", "[0]", "[0,0]") + "}  ", 0)) << "padding";
}

TEST(Safetensors, BelievesNothing) {
  const auto refused = [](const std::string& members, std::size_t bytes) {
    const auto parsed = parse("{" + members + "}", bytes);
    EXPECT_FALSE(parsed) << members;
  };
  refused(tensor("a", "F32", "[1]", "[0,4]"), 5);  // more data
  refused(tensor("a", "F32", "[1]", "[0,4]"), 3);  // less
  refused(tensor("a", "F32", "[1]", "[4,8]"), 8);  // a hole
  refused(tensor("a", "F32", "[2]", "[0,4]"), 4);  // another length
  refused(tensor("a", "F32", "[-1]", "[0,4]"), 4);
  refused(tensor("a", "F32", "[1]", "[4,0]"), 4);
  refused(tensor("a", "X32", "[1]", "[0,4]"), 4);
  refused(tensor("a", "F32", "[4294967296,4294967296,4294967296]", "[0,0]"), 0);
  refused(tensor("a", "F32", "[1]", "[0,4]") + "," + tensor("b", "F32", "[1]", "[0,4]"), 4);
  refused(tensor("a", "F32", "[1]", "[0,4]") + "," + tensor("a", "F32", "[1]", "[0,4]"), 4);
  refused(R"("a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"more":1})", 4);
  refused(R"("__metadata__":{"a":1})", 0);
  refused(R"("a":1)", 0);
  ByteWriter huge;
  huge.u64(UINT64_MAX);
  EXPECT_EQ(parse_safetensors(huge.bytes(), 8).error().code(), Code::too_large);
  huge.clear();
  huge.u64(100);
  EXPECT_EQ(parse_safetensors(huge.bytes(), 8).error().code(), Code::malformed);
  EXPECT_EQ(parse_safetensors(huge.bytes(), 108).error().code(), Code::unavailable);
}

TEST(Safetensors, EveryTruncationIsRefusedOrContinues) {
  const auto whole = file("{" + tensor("a", "F32", "[1]", "[0,4]") + "}", 4);
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto cut = parse_safetensors(BytesView{whole}.first(size), size);
    EXPECT_FALSE(cut) << size;
    EXPECT_NE(cut.error().code(), Code::unavailable) << size;
    const auto prefix = parse_safetensors(BytesView{whole}.first(size), whole.size());
    if (!prefix) EXPECT_EQ(prefix.error().code(), Code::unavailable) << size;
  }
}

}  // namespace
}  // namespace tacit::formats
