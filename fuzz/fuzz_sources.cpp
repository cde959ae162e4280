// Whatever the bytes: an accepted reference, written as text, means the same when read again and
// never leaves its place in an address; lock files and hub listings keep their promises.
#include "fuzz.hpp"
#include "registry/lock_file.hpp"
#include "registry/pull_plan.hpp"
#include "registry/reference.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tacit::registry;
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  if (const auto reference = parse_reference(text)) {
    const auto written = reference_text(*reference);
    const auto again = parse_reference(written);
    FUZZ_CHECK(again && reference_text(*again) == written);
    if (!std::holds_alternative<FileReference>(*reference)) {
      for (const char c : written) FUZZ_CHECK(c > ' ' || c == ' ');
    }
    if (const auto* hub = std::get_if<HuggingFaceReference>(&*reference)) {
      FUZZ_CHECK(hub->repository.find("..") == std::string::npos ||
                 hub->repository.find("/..") == std::string::npos);
      FUZZ_CHECK(hub->revision.find('/') == std::string::npos);
    }
  }
  if (const auto locks = LockFile::parse(text)) {
    const auto again = LockFile::parse(locks->text());
    FUZZ_CHECK(again && again->text() == locks->text());
  }
  if (const auto files = parse_hub_tree(text)) {
    const auto chosen = choose_hub_file(*files, "");
    if (chosen) FUZZ_CHECK(chosen->path.size() >= 5);
  }
  static_cast<void>(bearer_challenge(text));
  static_cast<void>(matches_pattern(text.substr(0, size / 2), text.substr(size / 2)));
  return 0;
}
