#include "formats/gguf.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <random>
#include <string>

#include "core/unique_fd.hpp"
#include "formats/testing/gguf_builder.hpp"

namespace tacit::formats {
namespace {

using testing::GgufBuilder;

Result<GgufFile> parse(const Bytes& bytes) { return parse_gguf(bytes, bytes.size()); }

// What a refusal says, or "accepted".
std::string refusal(const Bytes& bytes) {
  const auto parsed = parse(bytes);
  return parsed ? "accepted" : parsed.error().message();
}
Code refusal_code(const Bytes& bytes) {
  const auto parsed = parse(bytes);
  EXPECT_FALSE(parsed);
  return parsed ? Code::internal : parsed.error().code();
}

void expect_invariants(const GgufFile& file) {
  EXPECT_LE(file.header_bytes, file.file_bytes);
  EXPECT_LE(file.data_offset, file.file_bytes);
  std::uint64_t end = 0;
  auto tensors = file.tensors;
  std::ranges::sort(tensors, {}, &GgufTensor::offset);
  for (const auto& tensor : tensors) {
    EXPECT_EQ(tensor.offset % file.alignment, 0u);
    EXPECT_GE(tensor.offset, end);
    end = tensor.offset + tensor.size_bytes;
    EXPECT_LE(file.data_offset + end, file.file_bytes);
  }
}

TEST(Gguf, ReadsEverythingThatTheBuilderWrites) {
  const auto bytes = GgufBuilder::example().build();
  const auto file = parse(bytes).value();
  EXPECT_EQ(file.version, 3u);
  EXPECT_EQ(file.architecture(), "llama");
  EXPECT_EQ(file.context_length(), 2048u);
  EXPECT_EQ(file.chat_template(), "{{ messages }}");
  EXPECT_EQ(file.number("example.negative"), std::nullopt);
  EXPECT_EQ(std::get<std::int64_t>(file.metadata.at("example.negative")), -3);
  EXPECT_EQ(std::get<double>(file.metadata.at("llama.rope.freq_base")), 10000.0);
  EXPECT_TRUE(std::get<bool>(file.metadata.at("tokenizer.ggml.add_bos_token")));
  const auto& tokens = std::get<GgufArray>(file.metadata.at("tokenizer.ggml.tokens"));
  EXPECT_EQ(tokens.preview, (std::vector<std::string>{"<s>", "</s>", "hello"}));
  const auto& types = std::get<GgufArray>(file.metadata.at("tokenizer.ggml.token_type"));
  EXPECT_EQ(types.preview, (std::vector<std::string>{"3", "3", "1"}));
  ASSERT_EQ(file.tensors.size(), 3u);
  EXPECT_EQ(file.tensors[0].size_bytes, 3u * 20u);  // q4_1: 20 bytes a block of 32
  EXPECT_EQ(file.tensors[1].size_bytes, 5u * 4u);
  EXPECT_EQ(file.tensors[2].size_bytes, 2u * 210u);  // q6_K: 210 bytes a block of 256
  EXPECT_EQ(file.tensors[1].offset, 64u);
  EXPECT_EQ(file.data_offset % 32, 0u);
  EXPECT_EQ(file.data_offset + file.tensors[2].offset + file.tensors[2].size_bytes, bytes.size());
  expect_invariants(file);
}

TEST(Gguf, ReadsAVocabularyWithoutTensorsAndWithoutPadding) {
  for (const auto* name : {"a", "ab", "abc", "abcd"}) {
    const auto bytes = GgufBuilder{}.add_text("general.name", name).build();
    const auto file = parse(bytes).value();
    EXPECT_TRUE(file.tensors.empty());
    EXPECT_EQ(file.header_bytes, bytes.size());
    expect_invariants(file);
  }
  EXPECT_TRUE(parse(GgufBuilder{}.build()));
}

TEST(Gguf, ReadsVersion2) {
  auto builder = GgufBuilder::example();
  builder.version = 2;
  EXPECT_EQ(parse(builder.build()).value().version, 2u);
}

TEST(Gguf, NamesWhatIsNotGguf) {
  EXPECT_EQ(refusal({}), "not a GGUF file (file_bytes 0)");
  EXPECT_EQ(refusal({std::byte{'G'}, std::byte{'G'}}), "not a GGUF file (file_bytes 2)");
  const auto zip = as_bytes("PK\3\4 and so on, which is a ZIP archive");
  EXPECT_EQ(refusal({zip.begin(), zip.end()}), "not a GGUF file");
  auto builder = GgufBuilder::example();
  builder.version = 1;
  EXPECT_EQ(refusal(builder.build()), "this version of GGUF is not supported (version 1)");
  builder.version = 4;
  EXPECT_EQ(refusal_code(builder.build()), Code::unsupported);
  builder.version = 0;
  EXPECT_EQ(refusal_code(builder.build()), Code::unsupported);
  builder.version = 3u << 24;
  EXPECT_EQ(refusal(builder.build()), "a big-endian GGUF file");
}

TEST(Gguf, RefusesCountsThatCannotFit) {
  for (const std::uint64_t count : {1ull << 10, 1ull << 32, 1ull << 63, ~0ull}) {
    EXPECT_NE(refusal(GgufBuilder{}.claim(count, 0).build()).find("more tensors are claimed"),
              std::string::npos);
    EXPECT_NE(refusal(GgufBuilder{}.claim(0, count).build()).find("more metadata is claimed"),
              std::string::npos);
    ByteWriter array;
    array.u32(4);
    array.u64(count);
    EXPECT_NE(refusal(GgufBuilder{}.add_raw("a", 9, array.bytes()).build())
                  .find("an array claims more elements"),
              std::string::npos);
    ByteWriter text;
    text.u64(count);
    text.raw("x");
    EXPECT_NE(refusal(GgufBuilder{}.add_raw("a", 8, text.bytes()).build())
                  .find("a string is longer than the rest of the file"),
              std::string::npos);
  }
}

TEST(Gguf, NamesTheLimitThatIsExceeded) {
  const auto bytes = GgufBuilder::example().build();
  const auto code = [&](auto change) {
    GgufLimits limits;
    change(limits);
    const auto parsed = parse_gguf(bytes, bytes.size(), limits);
    EXPECT_FALSE(parsed);
    return parsed ? Code::internal : parsed.error().code();
  };
  EXPECT_EQ(code([](auto& l) { l.header_bytes_max = 100; }), Code::too_large);
  EXPECT_EQ(code([](auto& l) { l.metadata_pairs_max = 9; }), Code::too_large);
  EXPECT_EQ(code([](auto& l) { l.tensors_max = 2; }), Code::too_large);
  EXPECT_EQ(code([](auto& l) { l.key_bytes_max = 10; }), Code::too_large);
  EXPECT_EQ(code([](auto& l) { l.string_bytes_max = 4; }), Code::too_large);
  EXPECT_EQ(code([](auto& l) { l.array_elements_max = 2; }), Code::too_large);
  EXPECT_EQ(code([](auto& l) { l.array_depth_max = 0; }), Code::too_large);
}

TEST(Gguf, RefusesBadMetadata) {
  EXPECT_EQ(refusal(GgufBuilder{}.add_u32("a", 1).add_u32("a", 2).build()),
            "two metadata keys are the same: a");
  EXPECT_EQ(refusal_code(GgufBuilder{}.add_u32("", 1).build()), Code::malformed);
  EXPECT_EQ(refusal(GgufBuilder{}.add_u32("a\x1b[31mb", 1).build()),
            "a metadata key is not printable ASCII (at 32): a?[31mb");
  EXPECT_EQ(refusal(GgufBuilder{}.add_bool("flag", 2).build()),
            "a boolean is neither 0 nor 1 (at 40): flag");
  EXPECT_EQ(refusal(GgufBuilder{}.add_raw("odd", 13, Bytes(8)).build()),
            "unknown type of metadata (type 13, at 35): odd");
  for (const std::uint32_t alignment : {0u, 1u, 4u, 24u, 33u}) {
    EXPECT_EQ(refusal_code(GgufBuilder{}.add_u32("general.alignment", alignment).build()),
              Code::malformed);
  }
  EXPECT_EQ(refusal_code(GgufBuilder{}.add_text("general.alignment", "32").build()),
            Code::malformed);
}

Bytes nested_array(unsigned depth) {
  ByteWriter value;
  for (unsigned i = 1; i < depth; ++i) {
    value.u32(9);
    value.u64(1);
  }
  value.u32(0);
  value.u64(1);
  value.u8(7);
  return std::move(value).take();
}

TEST(Gguf, NestsArraysOnlySoFar) {
  EXPECT_TRUE(parse(GgufBuilder{}.add_raw("a", 9, nested_array(4)).build()));
  EXPECT_EQ(refusal(GgufBuilder{}.add_raw("a", 9, nested_array(5)).build()),
            "arrays are nested too deeply (value 5, limit 4): a");
  EXPECT_FALSE(parse(GgufBuilder{}.add_raw("a", 9, nested_array(100'000)).build()));
}

TEST(Gguf, KeepsOnlyShortArrays) {
  const auto file =
      parse(GgufBuilder{}
                .add_u32s("long", std::vector<std::uint32_t>(4097))
                .add_u32s("short", std::vector<std::uint32_t>(4096))
                .add_texts("wide", {std::string(900'000, 'x'), std::string(900'000, 'y')})
                .build())
          .value();
  const auto& of = [&](const char* key) -> const GgufArray& {
    return std::get<GgufArray>(file.metadata.at(key));
  };
  EXPECT_TRUE(of("long").preview.empty());
  EXPECT_EQ(of("long").count, 4097u);
  EXPECT_EQ(of("short").preview.size(), 4096u);
  EXPECT_TRUE(of("wide").preview.empty());
  EXPECT_EQ(of("wide").count, 2u);
}

TEST(Gguf, RefusesBadTensors) {
  const auto one = [](std::string_view name, const std::vector<std::uint64_t>& dimensions,
                      std::uint32_t type) {
    return refusal(GgufBuilder{}.tensor(name, dimensions, type).build());
  };
  EXPECT_EQ(one("t", {4}, 0), "accepted");
  EXPECT_EQ(one("t", {}, 0), "a tensor has 1 to 4 dimensions (dimensions 0): t");
  EXPECT_EQ(one("t", {1, 1, 1, 1, 1}, 0), "a tensor has 1 to 4 dimensions (dimensions 5): t");
  EXPECT_EQ(one("t", {4, 0}, 0), "a tensor's dimension is zero or far too large (size 0): t");
  EXPECT_EQ(one("t", {33}, 3),
            "a tensor's row is not a whole number of blocks (row 33, block 32): t");
  EXPECT_EQ(one("t", {4}, 4), "unknown type of tensor (type 4): t");
  EXPECT_EQ(one("t", {4}, 99), "unknown type of tensor (type 99): t");
  EXPECT_EQ(refusal_code(GgufBuilder{}.tensor("t", {4}, 43).build()), Code::unsupported);
  EXPECT_NE(one("", {4}, 0).find("a tensor's name"), std::string::npos);
  EXPECT_NE(one(std::string(64, 'x'), {4}, 0).find("a tensor's name"), std::string::npos);
  EXPECT_NE(one(std::string_view{"a\0b", 3}, {4}, 0).find("a tensor's name"), std::string::npos);
  EXPECT_EQ(refusal(GgufBuilder{}.tensor("t", {4}, 0).tensor("t", {4}, 0).build()),
            "two tensors have the same name: t");
}

TEST(Gguf, RefusesTensorsThatAreNotThere) {
  const auto at = [](const std::vector<std::uint64_t>& dimensions, std::uint64_t offset) {
    return refusal(GgufBuilder{}
                       .tensor("first", {8}, 0)
                       .tensor_at("second\n", dimensions, 0, offset)
                       .tensor("third", {8}, 0)
                       .build());
  };
  EXPECT_NE(at({8}, 0).find("two tensors overlap"), std::string::npos);
  EXPECT_NE(at({8}, 33).find("misaligned (offset 33, alignment 32): second?"), std::string::npos);
  EXPECT_NE(at({8}, 64).find("tensor data runs past the end of the file"), std::string::npos);
  EXPECT_NE(at({8}, ~0ull - 31).find("tensor data runs past the end of the file"),
            std::string::npos);
  EXPECT_NE(at({1 << 20}, 0).find("larger than the whole file"), std::string::npos);
  for (const std::uint64_t huge : {1ull << 31, 1ull << 62, 1ull << 63, ~0ull}) {
    EXPECT_NE(at({huge, 2, 2}, 0), "accepted");
    EXPECT_NE(at({2, huge, huge}, 0), "accepted");
    EXPECT_NE(at({huge}, 0), "accepted");
  }
}

TEST(Gguf, OverlapIsFoundInAnyOrder) {
  const auto bytes = [](std::uint64_t first, std::uint64_t second, std::uint64_t third) {
    return GgufBuilder{}
        .tensor("data", {64}, 0)
        .tensor_at("a", {8}, 0, 256 + first)
        .tensor_at("b", {8}, 0, 256 + second)
        .tensor_at("c", {16}, 0, 256 + third)
        .build();
  };
  const auto with_room = [&](std::uint64_t a, std::uint64_t b, std::uint64_t c) {
    auto file = bytes(a, b, c);
    file.resize(file.size() + 256);
    return refusal(file);
  };
  EXPECT_EQ(with_room(96, 64, 0), "accepted");
  EXPECT_EQ(with_room(0, 32, 64), "accepted");
  EXPECT_NE(with_room(32, 64, 0).find("overlap"), std::string::npos);
  EXPECT_NE(with_room(0, 0, 32).find("overlap"), std::string::npos);
}

TEST(Gguf, EveryTruncationIsRefused) {
  const auto bytes = GgufBuilder::example().build();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    const Bytes cut{bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size)};
    const auto code = refusal_code(cut);
    EXPECT_EQ(code, Code::malformed) << size;
  }
}

TEST(Gguf, APrefixSaysThatTheHeaderContinues) {
  const auto bytes = GgufBuilder::example().build();
  const auto header_bytes = parse(bytes).value().header_bytes;
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    const auto parsed = parse_gguf(BytesView{bytes}.first(size), bytes.size());
    if (size >= header_bytes) {
      EXPECT_TRUE(parsed) << size;
    } else {
      ASSERT_FALSE(parsed) << size;
      EXPECT_EQ(parsed.error().code(), Code::unavailable) << size;
    }
  }
  EXPECT_EQ(parse_gguf(bytes, bytes.size() - 1).error().code(), Code::invalid_argument);
}

// Any damage is either refused or leaves a file that keeps its promises.
TEST(Gguf, SurvivesRandomDamage) {
  const auto good = GgufBuilder::example().build();
  const auto header_bytes = parse(good).value().header_bytes;
  std::mt19937_64 random{20260501};
  for (int round = 0; round < 20'000; ++round) {
    auto bytes = good;
    const auto num_flips = 1 + random() % 4;
    for (std::uint64_t i = 0; i < num_flips; ++i) {
      bytes[random() % header_bytes] ^= static_cast<std::byte>(1u << (random() % 8));
    }
    if (const auto parsed = parse(bytes)) expect_invariants(*parsed);
  }
}

// The sizes that matter: a 64-bit field of the header replaced by awkward numbers, at every offset.
TEST(Gguf, SurvivesAwkwardNumbersEverywhere) {
  const auto good = GgufBuilder::example().build();
  const auto header_bytes = parse(good).value().header_bytes;
  for (std::size_t at = 0; at + 8 <= header_bytes; ++at) {
    for (const std::uint64_t number :
         {0ull, 1ull, 0x7Full, 0xFFFFull, 0x7FFFFFFFull, 0xFFFFFFFFull, 0x7FFFFFFFFFFFFFFFull,
          0x8000000000000000ull, 0xFFFFFFFFFFFFFFE0ull, ~0ull}) {
      auto bytes = good;
      for (std::size_t i = 0; i < 8; ++i) bytes[at + i] = static_cast<std::byte>(number >> (8 * i));
      if (const auto parsed = parse(bytes)) expect_invariants(*parsed);
    }
  }
}

UniqueFd memory_file(const Bytes& bytes) {
  UniqueFd fd{::memfd_create("gguf", MFD_CLOEXEC)};
  EXPECT_EQ(::write(fd.get(), bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  return fd;
}

TEST(ReadGguf, ReadsOpenFilesAndLeavesTheirOffset) {
  const auto bytes = GgufBuilder::example().build();
  const auto fd = memory_file(bytes);
  EXPECT_EQ(read_gguf(fd.get()).value().tensors.size(), 3u);
  EXPECT_EQ(::lseek(fd.get(), 0, SEEK_CUR), static_cast<off_t>(bytes.size()));
}

TEST(ReadGguf, ReadsAHeaderLargerThanItsFirstAttempt) {
  const std::vector<std::string> vocabulary(300'000, "a token of some length");
  const auto fd = memory_file(GgufBuilder{}.add_texts("tokens", vocabulary).build());
  EXPECT_EQ(std::get<GgufArray>(read_gguf(fd.get()).value().metadata.at("tokens")).count, 300'000u);
}

TEST(ReadGguf, RefusesWhatIsNoFile) {
  const UniqueFd folder{::open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  EXPECT_EQ(read_gguf(folder.get()).error().code(), Code::malformed);
  EXPECT_EQ(read_gguf(-1).error().code(), Code::io);
}

}  // namespace
}  // namespace tacit::formats
