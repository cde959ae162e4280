#include "registry/local_file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>

#include "crypto/hash.hpp"
#include "formats/testing/gguf_builder.hpp"
#include "store/file.hpp"
#include "store/testing/temp_folder.hpp"

namespace tacit::registry {
namespace {

using formats::testing::GgufBuilder;
using store::testing::TempFolder;

TEST(LocalFile, OpensAGguf) {
  const TempFolder folder;
  const auto bytes = GgufBuilder::example().build();
  ASSERT_TRUE(store::write_file_atomically(folder / "my model.gguf", bytes));
  const auto opened = open_local_file(folder / "my model.gguf").value();
  EXPECT_EQ(opened.model.name, "my model");
  EXPECT_EQ(opened.model.title, "tiny");
  EXPECT_EQ(opened.model.size_bytes, bytes.size());
  EXPECT_EQ(opened.model.weights.hex(), crypto::sha256_hex(bytes));
  EXPECT_EQ(opened.header.architecture(), "llama");
  EXPECT_TRUE(opened.weights);
}

TEST(LocalFile, NamesTheFileAndWhatIsWrong) {
  const TempFolder folder;
  const auto path = folder / "a.gguf";
  const auto refusal = [&] { return open_local_file(path).error().message(); };
  EXPECT_EQ(refusal(), "no such file: " + path.string());
  ASSERT_TRUE(store::write_file_atomically(path, as_bytes("hello")));
  EXPECT_EQ(refusal(), "not a GGUF file: " + path.string());
  auto bytes = GgufBuilder::example().build();
  bytes.pop_back();
  ASSERT_TRUE(store::write_file_atomically(path, bytes));
  EXPECT_EQ(refusal(), "tensor data runs past the end of the file (ends_at " +
                           std::to_string(bytes.size() + 1) + ", file_bytes " +
                           std::to_string(bytes.size()) + "): " + path.string() +
                           ": output.weight");
  EXPECT_EQ(open_local_file(folder.path()).error().code(), Code::malformed);
}

TEST(LocalFile, APipeDoesNotHangIt) {
  const TempFolder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe.gguf").c_str(), 0600), 0);
  EXPECT_EQ(open_local_file(folder / "pipe.gguf").error().code(), Code::malformed);
}

TEST(LocalFile, RefusesAFileWithoutAModel) {
  const TempFolder folder;
  ASSERT_TRUE(store::write_file_atomically(folder / "a.gguf", GgufBuilder{}.build()));
  EXPECT_EQ(open_local_file(folder / "a.gguf").error().code(), Code::malformed);
}

TEST(LocalFile, AnEnginesRefusalIsAboutTheFile) {
  const auto error = about_local_file(
      Error{Code::malformed, "model tensors are invalid"}.about(PublicText{"a"}).fix("Pull"),
      "dir/a.gguf");
  EXPECT_EQ(error.message(), "model tensors are invalid: dir/a.gguf");
  EXPECT_EQ(error.fix(), "Download or convert the file again");
}

TEST(LocalFile, RefusesPartsOfAModel) {
  const TempFolder folder;
  const auto bytes = GgufBuilder::example().add_u32("split.count", 3).build();
  ASSERT_TRUE(store::write_file_atomically(folder / "a.gguf", bytes));
  EXPECT_EQ(open_local_file(folder / "a.gguf").error().code(), Code::unsupported);
}

}  // namespace
}  // namespace tacit::registry
