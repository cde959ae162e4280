// Real model files, from the folder of public fixtures (TACIT_FIXTURES). The project's own small
// vectors in gguf_test.cpp cover the same code without them.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>

#include "core/unique_fd.hpp"
#include "formats/gguf.hpp"

namespace tacit::formats {
namespace {

std::filesystem::path models_folder() {
  const char* given = std::getenv("TACIT_FIXTURES");
  const std::filesystem::path fixtures = given != nullptr ? given : TACIT_FIXTURES_DEFAULT;
  return fixtures / "models";
}

class GgufFixture : public ::testing::Test {
 protected:
  // Opens and reads a fixture; skips the test when it is not there.
  void load(const char* name) {
    const auto path = models_folder() / name;
    fd = UniqueFd{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    if (!fd) GTEST_SKIP() << "SKIPPED: fixtures not found: " << path;
    struct stat info{};
    ASSERT_EQ(::fstat(fd.get(), &info), 0);
    bytes.resize(static_cast<std::size_t>(info.st_size));
    ASSERT_EQ(::pread(fd.get(), bytes.data(), bytes.size(), 0), static_cast<ssize_t>(bytes.size()));
  }
  UniqueFd fd;
  Bytes bytes;
};

TEST_F(GgufFixture, Stories260K) {
  load("stories260K.gguf");
  if (IsSkipped()) return;
  const auto file = read_gguf(fd.get()).value();
  EXPECT_EQ(file.architecture(), "llama");
  EXPECT_EQ(file.metadata.size(), 19u);
  EXPECT_EQ(file.tensors.size(), 48u);
  EXPECT_EQ(file.data_offset, 14'176u);
  std::uint64_t end = 0;
  for (const auto& tensor : file.tensors) {
    EXPECT_EQ(tensor.type, 0u);
    end = std::max(end, file.data_offset + tensor.offset + tensor.size_bytes);
  }
  EXPECT_EQ(end, file.file_bytes);
}

TEST_F(GgufFixture, Stories260KTruncatedAnywhere) {
  load("stories260K.gguf");
  if (IsSkipped()) return;
  const auto header_bytes = parse_gguf(bytes, bytes.size()).value().header_bytes;
  std::mt19937_64 random{7};
  for (int i = 0; i < 2'000; ++i) {
    // Half of the cuts in the header, half in the data.
    const auto size = random() % (i % 2 == 0 ? header_bytes : bytes.size());
    const auto parsed = parse_gguf(BytesView{bytes}.first(size), size);
    ASSERT_FALSE(parsed) << size;
    EXPECT_EQ(parsed.error().code(), Code::malformed) << size;
  }
  const auto parsed = parse_gguf(BytesView{bytes}.first(bytes.size() - 1), bytes.size() - 1);
  EXPECT_EQ(parsed.error().what(), "tensor data runs past the end of the file");
}

TEST_F(GgufFixture, Stories260KWithFlippedBits) {
  load("stories260K.gguf");
  if (IsSkipped()) return;
  const auto header_bytes = parse_gguf(bytes, bytes.size()).value().header_bytes;
  std::mt19937_64 random{11};
  for (int i = 0; i < 2'000; ++i) {
    auto& byte = bytes[random() % header_bytes];
    const auto before = byte;
    byte ^= static_cast<std::byte>(1u << (random() % 8));
    const auto parsed = parse_gguf(bytes, bytes.size());
    if (parsed) {
      for (const auto& tensor : parsed->tensors) {
        EXPECT_LE(parsed->data_offset + tensor.offset + tensor.size_bytes, bytes.size());
      }
    }
    byte = before;
  }
}

TEST_F(GgufFixture, VocabularyOfGpt2) {
  load("ggml-vocab-gpt-2.gguf");
  if (IsSkipped()) return;
  const auto file = read_gguf(fd.get()).value();
  EXPECT_TRUE(file.tensors.empty());
  EXPECT_EQ(file.architecture(), "gpt2");
  EXPECT_EQ(std::get<GgufArray>(file.metadata.at("tokenizer.ggml.tokens")).count, 50'257u);
  EXPECT_EQ(file.header_bytes, bytes.size());
}

TEST_F(GgufFixture, VocabularyOfPhi3) {
  load("ggml-vocab-phi-3.gguf");
  if (IsSkipped()) return;
  const auto file = read_gguf(fd.get()).value();
  EXPECT_TRUE(file.tensors.empty());
  EXPECT_EQ(file.architecture(), "phi3");
  EXPECT_EQ(std::get<GgufArray>(file.metadata.at("tokenizer.ggml.tokens")).count, 32'064u);
  EXPECT_TRUE(file.chat_template());
}

TEST_F(GgufFixture, WhatIsNoGguf) {
  load("ggml-vocab-phi-3.gguf.inp");
  if (IsSkipped()) return;
  EXPECT_EQ(read_gguf(fd.get()).error().message(), "not a GGUF file");
}

}  // namespace
}  // namespace tacit::formats
