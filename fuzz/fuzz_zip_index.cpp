// Whatever the bytes: a file that the ZIP directory yields lies inside the archive, both ways of
// reading give no byte more than promised, and the archive's end tells the same as the whole.
#include <algorithm>

#include "fuzz.hpp"
#include "registry/zip.hpp"

namespace {

using namespace tacit;            // NOLINT(google-build-using-namespace)
using namespace tacit::registry;  // NOLINT(google-build-using-namespace)

constexpr std::uint64_t kOutputMax = 1 << 20;

void check_extract(BytesView archive, const ZipEntry& entry, std::uint64_t at, std::uint64_t skip,
                   std::size_t cut) {
  ZipExtractor extractor{entry.method, entry.compressed_bytes, entry.size_bytes, skip};
  std::uint64_t received = 0;
  const ZipSink sink = [&](BytesView part) -> Result<void> {
    received += part.size();
    FUZZ_CHECK(received <= entry.size_bytes - std::min(skip, entry.size_bytes));
    if (received > kOutputMax) return fail(Code::too_large, "enough");
    return {};
  };
  auto data = archive.subspan(at, entry.compressed_bytes);
  while (!extractor.done() && !data.empty()) {
    const auto used = extractor.feed(data.first(std::min(cut, data.size())), sink);
    if (!used) return;
    FUZZ_CHECK(*used > 0);
    data = data.subspan(*used);
  }
  if (extractor.done()) FUZZ_CHECK(received == entry.size_bytes - std::min(skip, entry.size_bytes));
}

void check_walk(BytesView archive, std::string_view name, std::uint64_t size, std::size_t cut) {
  ZipWalker walker{std::string{name}, size, 0};
  std::uint64_t received = 0;
  const ZipSink sink = [&](BytesView part) -> Result<void> {
    received += part.size();
    FUZZ_CHECK(received <= size);
    return {};
  };
  while (!archive.empty() && !walker.done()) {
    const auto part = archive.first(std::min(cut, archive.size()));
    if (!walker.feed(part, sink)) return;
    archive = archive.subspan(part.size());
  }
  if (walker.done()) FUZZ_CHECK(received == size);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const BytesView archive{reinterpret_cast<const std::byte*>(data), size};
  check_walk(archive, "b", 5, 3);
  check_walk(archive, "b", 2000, 4096);
  const auto directory = zip_directory(archive, size);
  const auto tail = zip_directory(archive.last(std::min<std::size_t>(size, kZipTailBytes)), size);
  FUZZ_CHECK(tail.has_value() == directory.has_value());
  if (!directory) return 0;
  FUZZ_CHECK(directory->offset <= size && directory->size_bytes <= size - directory->offset);
  const auto bytes = archive.subspan(directory->offset, directory->size_bytes);
  for (const auto* name : {"b", "pkg/model.gguf"}) {
    const auto entry = find_zip_entry(bytes, *directory, name);
    if (!entry) continue;
    FUZZ_CHECK(entry->name == name);
    FUZZ_CHECK(entry->local_offset + kZipLocalHeaderBytes <= directory->offset);
    const auto header = archive.subspan(entry->local_offset, kZipLocalHeaderBytes);
    const auto at = zip_data_offset(header, *entry, *directory);
    if (!at) continue;
    FUZZ_CHECK(*at + entry->compressed_bytes <= directory->offset);
    check_extract(archive, *entry, *at, 0, 4096);
    check_extract(archive, *entry, *at, 3, 1);
    check_walk(archive, name, entry->size_bytes, 17);
  }
  return 0;
}
