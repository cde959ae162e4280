// Whatever the bytes: an accepted catalogue keeps what it promises, and an accepted manifest is
// written as it was read.
#include <set>

#include "fuzz.hpp"
#include "registry/catalogue.hpp"
#include "registry/manifest.hpp"
#include "registry/name.hpp"
#include "registry/pip_config.hpp"

namespace {

namespace registry = tacit::registry;

void check_catalogue(std::string_view text) {
  const auto entries = registry::parse_catalogue(text);
  if (!entries) return;
  std::set<std::string> names;
  for (const auto& entry : *entries) {
    FUZZ_CHECK(registry::is_model_name(entry.name));
    FUZZ_CHECK(names.insert(entry.name).second);
    for (const auto& alias : entry.aliases) {
      FUZZ_CHECK(registry::is_model_name(alias));
      FUZZ_CHECK(names.insert(alias).second);
    }
    FUZZ_CHECK(tacit::store::Digest::parse(entry.sha256).has_value());
    FUZZ_CHECK(entry.size_bytes > 0 && !entry.sources.empty() && !entry.title.empty());
    for (const auto& source : entry.sources) {
      FUZZ_CHECK(!source.package.contains("/") && !source.file.starts_with("../"));
    }
  }
}

void check_manifest(std::string_view text) {
  const auto model = registry::parse_manifest(text);
  if (!model) return;
  const auto written = registry::manifest_json(*model);
  const auto again = registry::parse_manifest(written);
  FUZZ_CHECK(again && registry::manifest_json(*again) == written);
  FUZZ_CHECK(!registry::file_name_of(model->name).contains('/'));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  check_catalogue(text);
  check_manifest(text);
  const auto config = registry::parse_pip_config(text);
  FUZZ_CHECK(!config.global.index_url.contains('\n') && !config.install.index_url.contains('\n'));
  return 0;
}
