#include "cli/evidence_files.hpp"

#include <algorithm>
#include <filesystem>

#include "attest/policy_file.hpp"
#include "core/text.hpp"
#include "store/file.hpp"

namespace tacit::cli {
namespace {

constexpr std::size_t kFilesMax = 512;

Error wrong_usage(Literal what, const std::string& about, Literal how) {
  return Error{Code::invalid_argument, what}.about(PublicText{about}).fix(how);
}

Result<void> add_file(const std::filesystem::path& path, bool listed,
                      std::vector<attest::Input>& out) {
  if (out.size() == kFilesMax)
    return fail(Error{Code::too_large, "too many files"}.with("limit", kFilesMax));
  auto bytes = store::read_file(path, attest::kEvidenceBytesMax);
  if (!bytes && bytes.error().code() == Code::too_large && !listed) return {};
  if (!bytes) return fail(std::move(bytes).error());
  out.push_back({path.string(), *std::move(bytes), listed});
  return {};
}

}  // namespace

Result<void> add_evidence_path(const std::string& name, std::vector<attest::Input>& out) {
  std::error_code problem;
  if (!std::filesystem::is_directory(name, problem)) return add_file(name, true, out);
  std::vector<std::filesystem::path> files;
  std::filesystem::recursive_directory_iterator it{name, problem};
  for (const std::filesystem::recursive_directory_iterator end; !problem && it != end;
       it.increment(problem)) {
    if (it->is_regular_file(problem)) files.push_back(it->path());
    if (files.size() > kFilesMax) break;
  }
  if (problem) return fail(wrong_usage("cannot read the folder", name, "check its permissions"));
  std::ranges::sort(files);
  for (const auto& file : files) TACIT_CHECK(add_file(file, false, out));
  return {};
}

Result<attest::Policy> read_policy(const std::string& name) {
  if (auto policy = attest::Policy::built_in(name)) return *std::move(policy);
  const auto bytes = store::read_file(name, attest::kPolicyBytesMax);
  if (!bytes && bytes.error().code() == Code::not_found)
    return fail(wrong_usage("no such policy", name, "say default, strict, development, or a file"));
  if (!bytes) return fail(bytes.error());
  return attest::parse_policy(as_text(*bytes));
}

}  // namespace tacit::cli
