// tacit verify evidence: appraises attestation evidence offline.
#include <algorithm>
#include <filesystem>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "attest/appraise.hpp"
#include "attest/policy_file.hpp"
#include "cli/app.hpp"
#include "cli/commands.hpp"
#include "cli/terminal.hpp"
#include "core/text.hpp"
#include "store/file.hpp"

namespace tacit::cli {
namespace {

constexpr std::size_t kFilesMax = 512;

struct Options {
  std::vector<std::string> evidence;
  std::vector<std::string> collateral;
  std::string policy = "default";
  std::string nonce;
  std::string report_data;
  std::string at;
  bool json = false;
};

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

// A file, or every file below a folder, in the order of their names.
Result<void> add_path(const std::string& name, std::vector<attest::Input>& out) {
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

Result<std::optional<Bytes>> read_hex(const std::string& text, std::size_t bytes_max) {
  if (text.empty()) return std::optional<Bytes>{};
  auto bytes = from_hex(text);
  if (!bytes || bytes->empty() || bytes->size() > bytes_max)
    return fail(wrong_usage("not hexadecimal, or too long", "--nonce or --report-data",
                            "give at most 64 bytes as hexadecimal digits"));
  return bytes;
}

Result<attest::UnixTime> read_time(const std::string& text) {
  if (text.empty()) return std::chrono::floor<Seconds>(SystemClock{}.wall());
  return attest::parse_time(text);
}

int usage(const Error& error) {
  report(error);
  return kExitUsage;
}

int run(const Options& options) {
  std::vector<attest::Input> evidence;
  std::vector<attest::Input> collateral;
  for (const auto& name : options.evidence)
    if (const auto added = add_path(name, evidence); !added) return usage(added.error());
  for (const auto& name : options.collateral)
    if (const auto added = add_path(name, collateral); !added) return usage(added.error());
  auto policy = read_policy(options.policy);
  if (!policy) return usage(policy.error());
  auto nonce = read_hex(options.nonce, 64);
  if (!nonce) return usage(nonce.error());
  auto report_data = read_hex(options.report_data, 64);
  if (!report_data) return usage(report_data.error());
  const auto now = read_time(options.at);
  if (!now) return usage(now.error());
  const auto answer = attest::appraise(
      {evidence, collateral, *std::move(policy), *now, *std::move(nonce), *std::move(report_data)});
  print(options.json ? attest::render_json(answer) : attest::render_text(answer));
  switch (answer.verdict) {
    case attest::Verdict::accept: return kExitOk;
    case attest::Verdict::cannot_tell: return kExitCannotTell;
    case attest::Verdict::reject: break;
  }
  return kExitFailure;
}

}  // namespace

void add_verify(CLI::App& app, Context& context) {
  auto* verify = app.add_subcommand("verify", "Check proofs, without any network");
  verify->require_subcommand(1);
  auto* command = verify->add_subcommand("evidence", "Appraise attestation evidence of a machine");
  auto options = std::make_shared<Options>();
  command->add_option("FILE", options->evidence, "Evidence, or folders of it")->required();
  command
      ->add_option(
          "--collateral", options->collateral,
          "Certificates, revocation lists, TCB info, RIMs: a file or folder, again for more")
      ->allow_extra_args(false);  // what follows its value is evidence
  command->add_option("--policy", options->policy,
                      "default, strict, development, or a TOML file (default: default)");
  command->add_option("--nonce", options->nonce, "The evidence must carry it (hexadecimal)");
  command->add_option("--report-data", options->report_data,
                      "The evidence must be bound to it (hexadecimal)");
  command->add_option("--at", options->at, "Judge as of this time, such as 2026-03-01T12:00:00Z");
  command->add_flag("--json", options->json, "As JSON");
  command->footer(
      "Exit codes: 0 accept, 1 reject, 2 wrong usage, 3 cannot tell (something is missing).\n"
      "Examples:\n"
      "  tacit verify evidence quote.bin --collateral collateral.json\n"
      "  tacit verify evidence report.bin --collateral vcek.der --policy strict --nonce 5f...");
  command->callback([&context, options] { context.chosen = [options] { return run(*options); }; });
}

}  // namespace tacit::cli
