// Whatever the bytes: an accepted file keeps GgufFile's invariants, and reading a prefix never
// tells another story than reading the whole.
#include <algorithm>
#include <set>

#include "formats/gguf.hpp"
#include "fuzz.hpp"

namespace {

using tacit::BytesView;
using tacit::Code;
using tacit::formats::GgufFile;
using tacit::formats::GgufTensor;
using tacit::formats::parse_gguf;

// Where the last byte that the file needs ends.
std::uint64_t check_invariants(const GgufFile& file) {
  FUZZ_CHECK(file.header_bytes <= file.file_bytes);
  FUZZ_CHECK(file.data_offset <= file.file_bytes);
  FUZZ_CHECK(file.data_offset >= file.header_bytes);
  std::set<std::string> names;
  auto tensors = file.tensors;
  std::ranges::sort(tensors, {}, &GgufTensor::offset);
  std::uint64_t end = 0;
  for (const auto& tensor : tensors) {
    FUZZ_CHECK(names.insert(tensor.name).second);
    FUZZ_CHECK(!tensor.dimensions.empty() && tensor.dimensions.size() <= 4);
    FUZZ_CHECK(tensor.offset % file.alignment == 0);
    FUZZ_CHECK(tensor.size_bytes > 0);
    FUZZ_CHECK(tensor.offset >= end);
    end = tensor.offset + tensor.size_bytes;
    FUZZ_CHECK(end <= file.file_bytes - file.data_offset);
  }
  return tensors.empty() ? file.header_bytes : file.data_offset + end;
}

void check_prefix(BytesView bytes, std::size_t size, const tacit::Result<GgufFile>& whole,
                  std::uint64_t needed) {
  const auto prefix = parse_gguf(bytes.first(size), bytes.size());
  if (!prefix && prefix.error().code() == Code::unavailable) {
    FUZZ_CHECK(!whole || size < whole->header_bytes);
  } else {
    FUZZ_CHECK(prefix.has_value() == whole.has_value());
    if (!whole) FUZZ_CHECK(prefix.error().message() == whole.error().message());
  }
  // A file cut off at that place is refused as soon as it lacks a byte that is needed.
  const auto cut = parse_gguf(bytes.first(size), size);
  FUZZ_CHECK(cut.has_value() || cut.error().code() != Code::unavailable);
  if (whole && size < needed) FUZZ_CHECK(!cut);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const BytesView bytes{reinterpret_cast<const std::byte*>(data), size};
  const auto whole = parse_gguf(bytes, size);
  if (!whole) FUZZ_CHECK(whole.error().code() != Code::unavailable);
  const auto needed = whole ? check_invariants(*whole) : 0;
  for (const auto part : {size / 4, size / 2, size - size / 4, size - (size > 0 ? 1 : 0)}) {
    check_prefix(bytes, part, whole, needed);
  }
  return 0;
}
