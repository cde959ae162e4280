// Runs test vectors: every file under the given folders, recognised by its content.
//
//   tacit_vectors DIR...               prints a line per file; exit 1 on any failure
//   tacit_vectors --fixtures FOLDER... folders under TACIT_FIXTURES (default ../shared/fixtures);
//                                      exit 77, which ctest reports as skipped, when one is absent
#include <zlib.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "vectors.hpp"

namespace tacit::vectors {

void Tally::fail(std::string test, std::string_view why) {
  constexpr std::size_t shown = 5;
  ++failed_;
  if (failures_.size() < shown) failures_.push_back(std::move(test) + ": " + std::string{why});
}

void Tally::check(bool ok, const std::string& test, std::string_view why) {
  if (ok) {
    pass();
  } else {
    fail(test, why);
  }
}

std::size_t Tally::num_skipped() const {
  std::size_t sum = 0;
  for (const auto& [reason, count] : skipped_) sum += count;
  return sum;
}

namespace {

constexpr std::size_t kFileBytesMax = 256u << 20;
constexpr int kSkipped = 77;

Kinds kinds() {
  Kinds all;
  for (auto part : {hpke_kinds(), xwing_kinds(), wycheproof_aead_kinds(), wycheproof_kdf_kinds(),
                    wycheproof_kem_kinds(), wycheproof_sign_kinds(), wycheproof_mldsa_kinds(),
                    cctv_kinds(), ohttp_kinds(), bhttp_kinds()}) {
    std::ranges::move(part, std::back_inserter(all));
  }
  return all;
}

// gzip, whole or not at all.
std::string unpack(const std::filesystem::path& path) {
  std::string text;
  gzFile in = gzopen(path.c_str(), "rb");  // reads what is not compressed as it is
  if (in == nullptr) throw std::runtime_error("cannot be opened");
  std::string block(1 << 16, '\0');
  int n = 0;
  while ((n = gzread(in, block.data(), static_cast<unsigned>(block.size()))) > 0 &&
         text.size() <= kFileBytesMax) {
    text.append(block, 0, static_cast<std::size_t>(n));
  }
  gzclose(in);
  if (n < 0 || text.size() > kFileBytesMax) throw std::runtime_error("cannot be read");
  return text;
}

File load(const std::filesystem::path& path) {
  File file{unpack(path), std::nullopt};
  const auto start = file.text.find_first_not_of(" \t\r\n");
  if (start == std::string::npos || (file.text[start] != '{' && file.text[start] != '[')) {
    return file;
  }
  boost::json::parse_options options;
  options.max_depth = 64;
  boost::json::error_code error;
  auto value = boost::json::parse(file.text, error, {}, options);
  if (!error) file.json = std::move(value);
  return file;
}

struct Totals {
  std::size_t files = 0, unknown = 0, passed = 0, failed = 0, skipped = 0;
};

void print(const std::string& name, const std::string& kind, const Tally& tally) {
  std::printf("%-6s %s: %s: %zu passed, %zu failed, %zu skipped", tally.failed() ? "FAILED" : "ok",
              name.c_str(), kind.c_str(), tally.passed(), tally.failed(), tally.num_skipped());
  const char* separator = " (";
  for (const auto& [reason, count] : tally.skipped()) {
    std::printf("%s%zu: %s", separator, count, reason.c_str());
    separator = "; ";
  }
  std::printf("%s\n", tally.skipped().empty() ? "" : ")");
  for (const auto& failure : tally.failures()) std::printf("         %s\n", failure.c_str());
}

void run_file(const std::filesystem::path& path, const std::string& name, const Kinds& all,
              Totals& totals) {
  Tally tally;
  std::string kind_name = "?";
  try {
    const auto file = load(path);
    const auto kind = std::ranges::find_if(
        all, [&](const Kind& candidate) { return candidate.recognises(file); });
    if (kind == all.end()) {
      ++totals.unknown;
      std::printf("-      %s: not recognised\n", name.c_str());
      return;
    }
    kind_name = kind->name;
    kind->run(file, tally);
    if (tally.passed() + tally.failed() + tally.num_skipped() == 0) tally.fail("file", "no tests");
  } catch (const std::exception& error) {
    tally.fail("file", error.what());
  }
  print(name, kind_name, tally);
  ++totals.files;
  totals.passed += tally.passed();
  totals.failed += tally.failed();
  totals.skipped += tally.num_skipped();
}

void run_folder(const std::filesystem::path& root, const Kinds& all, Totals& totals) {
  if (!std::filesystem::is_directory(root)) return run_file(root, root.string(), all, totals);
  std::vector<std::filesystem::path> paths;
  for (const auto& entry : std::filesystem::recursive_directory_iterator{root}) {
    if (entry.is_regular_file()) paths.push_back(entry.path());
  }
  std::ranges::sort(paths);
  for (const auto& path : paths)
    run_file(path, path.lexically_relative(root).string(), all, totals);
}

int run(const std::vector<std::filesystem::path>& roots) {
  const auto all = kinds();
  Totals totals;
  for (const auto& root : roots) {
    if (!std::filesystem::exists(root)) {
      std::fprintf(stderr, "tacit_vectors: there is no %s\n", root.c_str());
      return 2;
    }
    run_folder(root, all, totals);
  }
  std::printf("%zu files of vectors: %zu passed, %zu failed, %zu skipped; %zu other files\n",
              totals.files, totals.passed, totals.failed, totals.skipped, totals.unknown);
  return totals.failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace tacit::vectors

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.empty() || (arguments[0] == "--fixtures" && arguments.size() < 2)) {
    std::fprintf(stderr, "usage: tacit_vectors DIR... | --fixtures FOLDER...\n");
    return 2;
  }
  if (arguments[0] != "--fixtures") {
    return tacit::vectors::run({arguments.begin(), arguments.end()});
  }
  const char* given = std::getenv("TACIT_FIXTURES");
  std::vector<std::filesystem::path> folders;
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    folders.push_back(std::filesystem::path{given != nullptr ? given : "../shared/fixtures"} /
                      arguments[i]);
    if (!std::filesystem::is_directory(folders.back())) {
      std::printf("SKIPPED: fixtures not found in %s; set TACIT_FIXTURES\n",
                  folders.back().c_str());
      return tacit::vectors::kSkipped;
    }
  }
  return tacit::vectors::run(folders);
}
