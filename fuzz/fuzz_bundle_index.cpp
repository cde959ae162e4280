// Whatever the bytes: an accepted index names every blob of its models once and says the same when
// written and read again; a tar header that is accepted can be written so that it reads the same.
#include <set>

#include "fuzz.hpp"
#include "registry/bundle.hpp"
#include "registry/oci_manifest.hpp"
#include "registry/tar.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tacit::registry;
  const tacit::BytesView bytes{reinterpret_cast<const std::byte*>(data), size};
  if (const auto index = parse_bundle_index(tacit::as_text(bytes))) {
    std::set<std::string> there;
    for (const auto& blob : index->blobs) FUZZ_CHECK(there.insert(blob.digest.hex()).second);
    for (const auto& model : index->models) FUZZ_CHECK(there.contains(model.weights.hex()));
    const auto text = bundle_index_json(*index);
    const auto again = parse_bundle_index(text);
    FUZZ_CHECK(again && bundle_index_json(*again) == text);
  }
  if (const auto manifest = parse_oci_manifest(tacit::as_text(bytes))) {
    FUZZ_CHECK(manifest->layers.empty() || manifest->manifests.empty());
    for (const auto& layer : manifest->layers) {
      FUZZ_CHECK(tacit::store::Digest::parse(layer.digest.hex()).has_value());
      for (const char c : layer.title) FUZZ_CHECK(c >= ' ' && c <= '~');
    }
  }
  if (size >= kTarBlockBytes) {
    if (const auto entry = parse_tar_header(bytes.first(kTarBlockBytes))) {
      FUZZ_CHECK(!entry->name.empty() && entry->name.size() < 100);
      const auto again = parse_tar_header(tar_header(entry->name, entry->size_bytes));
      FUZZ_CHECK(again && again->name == entry->name && again->size_bytes == entry->size_bytes);
    }
  }
  return 0;
}
