#include "registry/zip.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "registry/testing/zip_builder.hpp"

namespace tacit::registry {
namespace {

using testing::ZipBuilder;
using testing::ZipOptions;

const std::string kText = [] {
  std::string text;
  for (int i = 0; i < 30'000; ++i) text += std::to_string(i * i % 1009) + ",";
  return text;
}();

// Extracts through the directory, as a client that reads parts does; `cut` bytes at a time.
Result<std::string> extract(const Bytes& archive, std::string_view name, std::size_t cut = 4096,
                            std::uint64_t skip = 0) {
  const auto tail_bytes = std::min<std::size_t>(archive.size(), kZipTailBytes);
  TACIT_TRY(const auto directory,
            zip_directory(BytesView{archive}.last(tail_bytes), archive.size()));
  const auto bytes = BytesView{archive}.subspan(directory.offset, directory.size_bytes);
  TACIT_TRY(const auto entry, find_zip_entry(bytes, directory, name));
  const auto header = BytesView{archive}.subspan(entry.local_offset, kZipLocalHeaderBytes);
  TACIT_TRY(const auto at, zip_data_offset(header, entry, directory));
  ZipExtractor extractor{entry.method, entry.compressed_bytes, entry.size_bytes, skip};
  std::string out;
  const ZipSink sink = [&](BytesView part) -> Result<void> {
    out += as_text(part);
    return {};
  };
  auto data = BytesView{archive}.subspan(at, entry.compressed_bytes);
  while (!extractor.done() && !data.empty()) {
    const auto part = data.first(std::min(cut, data.size()));
    TACIT_TRY(const auto used, extractor.feed(part, sink));
    data = data.subspan(used);
  }
  if (!extractor.done()) return fail(Code::malformed, "the archive ended first");
  return out;
}

// Extracts from the archive's first byte on.
Result<std::string> walk(const Bytes& archive, std::string_view name, std::size_t cut = 4096,
                         std::uint64_t skip = 0, std::uint64_t size = kText.size()) {
  ZipWalker walker{std::string{name}, size, skip};
  std::string out;
  const ZipSink sink = [&](BytesView part) -> Result<void> {
    out += as_text(part);
    return {};
  };
  BytesView rest{archive};
  while (!walker.done() && !rest.empty()) {
    const auto part = rest.first(std::min(cut, rest.size()));
    TACIT_CHECK(walker.feed(part, sink));
    rest = rest.subspan(part.size());
  }
  if (!walker.done()) return fail(Code::malformed, "the archive ended first");
  return out;
}

Bytes archive_with(const ZipOptions& options, bool zip64_end = false, std::string comment = "") {
  ZipBuilder builder;
  builder.zip64_end = zip64_end;
  builder.comment = std::move(comment);
  builder.add("pkg/__init__.py", as_bytes(""))
      .add("pkg/a.txt", as_bytes("first"), {.deflate = true});
  builder.add("pkg/model.gguf", as_bytes(kText), options);
  builder.add("pkg/z.txt", as_bytes("last"));
  return builder.build();
}

TEST(Zip, ExtractsInEveryForm) {
  for (const bool deflate : {false, true}) {
    for (const bool zip64 : {false, true}) {
      for (const bool zip64_end : {false, true}) {
        const auto archive = archive_with({.deflate = deflate, .zip64 = zip64}, zip64_end, "words");
        for (const std::size_t cut : {1u, 7u, 4096u, 1u << 20}) {
          EXPECT_EQ(extract(archive, "pkg/model.gguf", cut).value(), kText);
          EXPECT_EQ(walk(archive, "pkg/model.gguf", cut).value(), kText);
        }
      }
    }
  }
}

TEST(Zip, SkipsWhatIsThereAlready) {
  for (const bool deflate : {false, true}) {
    const auto archive = archive_with({.deflate = deflate});
    for (const std::size_t skip :
         {std::size_t{1}, std::size_t{70'000}, kText.size() - 1, kText.size()}) {
      EXPECT_EQ(extract(archive, "pkg/model.gguf", 4096, skip).value(), kText.substr(skip));
      EXPECT_EQ(walk(archive, "pkg/model.gguf", 4096, skip).value(), kText.substr(skip));
    }
  }
}

TEST(Zip, TakesTheDirectoryBySizesThatComeLater) {
  for (const bool deflate : {false, true}) {
    const auto archive = archive_with({.deflate = deflate, .sizes_later = true});
    EXPECT_EQ(extract(archive, "pkg/model.gguf").value(), kText);
    EXPECT_EQ(walk(archive, "pkg/model.gguf").value(), kText);
    EXPECT_EQ(walk(archive, "pkg/z.txt", 4096, 0, 4).error().code(), Code::unsupported);
  }
}

TEST(Zip, SaysWhenTheFileIsNotThere) {
  const auto archive = archive_with({});
  for (const auto* name : {"pkg/model", "model.gguf", "pkg/model.gguf2", "", "PKG/MODEL.GGUF"}) {
    EXPECT_EQ(extract(archive, name).error().code(), Code::not_found) << name;
    EXPECT_EQ(walk(archive, name).error().code(), Code::not_found) << name;
  }
  EXPECT_EQ(walk(ZipBuilder{}.build(), "a").error().code(), Code::not_found);
  EXPECT_EQ(extract(ZipBuilder{}.build(), "a").error().code(), Code::not_found);
}

TEST(Zip, FindsTheEndRecordBehindMisleadingComments) {
  for (const auto& comment : {std::string{"PK\5\6"}, std::string(65'535, 'x'),
                              "PK\5\6" + std::string(30, '\0') + "PK\5\6"}) {
    EXPECT_EQ(extract(archive_with({}, false, comment), "pkg/model.gguf").value(), kText);
  }
}

TEST(Zip, RefusesWhatIsNoArchive) {
  EXPECT_EQ(zip_directory({}, 0).error().message(), "not a ZIP archive");
  const auto page = as_bytes("<!doctype html><title>Sign in</title> and a good deal more of it");
  EXPECT_EQ(zip_directory(page, page.size()).error().message(), "not a ZIP archive");
  EXPECT_EQ(walk({page.begin(), page.end()}, "a").error().message(), "not a ZIP archive");
  EXPECT_EQ(zip_directory(page, 1).error().code(), Code::invalid_argument);
}

TEST(Zip, RefusesWhatItCannotRead) {
  const auto both = [](const ZipOptions& options) {
    const auto archive = archive_with(options);
    EXPECT_EQ(extract(archive, "pkg/model.gguf").error().code(),
              walk(archive, "pkg/model.gguf").error().code());
    return extract(archive, "pkg/model.gguf").error().code();
  };
  EXPECT_EQ(both({.more_flags = 1}), Code::unsupported);  // encrypted
  EXPECT_EQ(both({.method = 12}), Code::unsupported);     // bzip2
  EXPECT_EQ(both({.deflate = true, .method = 9}), Code::unsupported);
}

TEST(Zip, RefusesLies) {
  const auto refused = [](const ZipOptions& options) {
    return extract(archive_with(options), "pkg/model.gguf").error().code();
  };
  EXPECT_EQ(refused({.size_lie = 1}), Code::malformed);
  EXPECT_EQ(refused({.deflate = true, .size_lie = 1}), Code::malformed);
  EXPECT_EQ(refused({.deflate = true, .size_lie = -1}), Code::malformed);
  EXPECT_EQ(refused({.deflate = true, .method = 0}), Code::malformed);
  EXPECT_EQ(refused({.method = 8}), Code::malformed);
  EXPECT_EQ(refused({.zip64 = true, .local_offset_lie = 1 << 20}), Code::malformed);
  EXPECT_EQ(refused({.zip64 = true, .local_offset_lie = -100}), Code::malformed);
  EXPECT_EQ(refused({.local_offset_lie = 1}), Code::malformed);
  // The walker knows what to expect.
  EXPECT_EQ(walk(archive_with({.deflate = true, .size_lie = 1}), "pkg/model.gguf").error().code(),
            Code::corrupt);

  ZipBuilder twice;
  twice.add("a", as_bytes("1")).add("a", as_bytes("2"));
  EXPECT_EQ(extract(twice.build(), "a").error().code(), Code::malformed);
  ZipBuilder more;
  more.entries_lie = 1;
  more.add("a", as_bytes("1"));
  EXPECT_EQ(extract(more.build(), "a").error().code(), Code::malformed);
  ZipBuilder fewer;
  fewer.entries_lie = ~std::uint64_t{0};
  fewer.add("a", as_bytes("1")).add("b", as_bytes("2"));
  EXPECT_EQ(extract(fewer.build(), "a").error().code(), Code::malformed);
}

TEST(Zip, ADirectoryHasALimit) {
  const auto archive = archive_with({});
  EXPECT_EQ(zip_directory(archive, archive.size(), {.directory_bytes_max = 10}).error().code(),
            Code::too_large);
  EXPECT_EQ(zip_directory(archive, archive.size(), {.entries_max = 3}).error().code(),
            Code::too_large);
}

TEST(Zip, ABombStopsAtThePromisedSize) {
  const std::string zeros(10'000'000, '\0');
  ZipBuilder builder;
  builder.add("bomb", as_bytes(zeros), {.deflate = true, .size_lie = -9'000'000});
  const auto archive = builder.build();
  std::size_t received = 0;
  ZipWalker walker{"bomb", 1'000'000, 0};
  const auto fed = walker.feed(archive, [&](BytesView part) -> Result<void> {
    received += part.size();
    return {};
  });
  EXPECT_EQ(fed.error().code(), Code::malformed);
  EXPECT_LE(received, 1'000'000u);
}

TEST(Zip, PassesOnTheSinksError) {
  const auto archive = archive_with({.deflate = true});
  ZipWalker walker{"pkg/model.gguf", kText.size(), 0};
  const auto fed =
      walker.feed(archive, [](BytesView) -> Result<void> { return fail(Code::no_space, "full"); });
  EXPECT_EQ(fed.error().code(), Code::no_space);
}

TEST(Zip, EveryTruncationIsRefused) {
  ZipBuilder builder;
  builder.add("a", as_bytes("hello"), {.deflate = true})
      .add("b", as_bytes("world"), {.zip64 = true});
  builder.zip64_end = true;
  const auto archive = builder.build();
  for (std::size_t size = 0; size < archive.size(); ++size) {
    const Bytes cut{archive.begin(), archive.begin() + static_cast<std::ptrdiff_t>(size)};
    EXPECT_FALSE(extract(cut, "b")) << size;
  }
}

// Damage anywhere never crashes, and what comes out is never longer than promised.
TEST(Zip, SurvivesRandomDamage) {
  const std::string text(2'000, 'q');
  std::mt19937_64 random{42};
  for (const bool deflate : {false, true}) {
    ZipBuilder builder;
    builder.add("a", as_bytes("hello"))
        .add("b", as_bytes(text), {.deflate = deflate, .zip64 = true});
    builder.zip64_end = deflate;
    const auto good = builder.build();
    for (int round = 0; round < 20'000; ++round) {
      auto archive = good;
      for (auto flips = 1 + random() % 3; flips > 0; --flips) {
        archive[random() % archive.size()] ^= static_cast<std::byte>(1u << (random() % 8));
      }
      static_cast<void>(extract(archive, "b"));
      const auto walked = walk(archive, "b", 64, 0, text.size());
      if (walked) EXPECT_EQ(walked->size(), text.size());
    }
  }
}

}  // namespace
}  // namespace tacit::registry
