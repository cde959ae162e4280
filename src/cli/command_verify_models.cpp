// tacit verify [MODEL...]: hash the store again, whatever is known of it.
#include <algorithm>
#include <filesystem>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/app.hpp"
#include "cli/commands.hpp"
#include "cli/models.hpp"
#include "cli/terminal.hpp"
#include "core/text.hpp"
#include "formats/scan.hpp"

namespace tacit::cli {
namespace {

struct Options {
  std::vector<std::string> names;
  bool json = false;
  bool quiet = false;
};

std::string names_of(const registry::CheckedBlob& blob) {
  return blob.models.empty() ? "no model" : fmt::format("{}", fmt::join(blob.models, ", "));
}

void print_json(const registry::StoreCheck& check) {
  std::vector<std::string> rows;
  for (const auto& blob : check.blobs) {
    std::vector<std::string> models;
    for (const auto& name : blob.models) models.push_back(json_string(name));
    rows.push_back(
        fmt::format(R"({{"digest":"{}","bytes":{},"models":[{}],"good":{},"quarantined":{}}})",
                    blob.digest.with_prefix(), blob.size_bytes, fmt::join(models, ","), blob.good,
                    blob.quarantined.empty() ? "null" : json_string(blob.quarantined.string())));
  }
  std::vector<std::string> incomplete;
  for (const auto& name : check.incomplete) incomplete.push_back(json_string(name));
  print(fmt::format("{{\"good\":{},\"blobs\":[{}],\"incomplete\":[{}]}}\n", check.good(),
                    fmt::join(rows, ","), fmt::join(incomplete, ",")));
}

// A file rather than a name of a model: it exists, and is written as a path or with an extension.
bool is_file(const std::string& name) {
  std::error_code ignored;
  const bool path = name.contains('/') || name.contains('.');
  return path && std::filesystem::is_regular_file(name, ignored);
}

int status_of(formats::ScanVerdict verdict) {
  switch (verdict) {
    case formats::ScanVerdict::clean: return kExitOk;
    case formats::ScanVerdict::dangerous: return kExitFailure;
    case formats::ScanVerdict::cannot_tell: break;
  }
  return kExitCannotTell;
}

// What loading the file would do. It is read, not loaded.
int scan(const std::string& file, const Options& options) {
  const auto report = formats::scan_file(file);
  if (!report) return cli::report(report.error());
  if (options.json) {
    std::vector<std::string> findings;
    for (const auto& finding : report->findings) {
      findings.push_back(fmt::format(R"({{"what":{},"subject":{}}})",
                                     json_string(finding.what.text), json_string(finding.subject)));
    }
    print(fmt::format(R"({{"file":{},"kind":{},"verdict":"{}","findings":[{}]}})"
                      "\n",
                      json_string(file), json_string(report->kind),
                      formats::verdict_name(report->verdict), fmt::join(findings, ",")));
    return status_of(report->verdict);
  }
  if (!options.quiet || report->verdict != formats::ScanVerdict::clean) {
    print(fmt::format("{}: {} ({})\n", terminal_safe(file).reveal(),
                      report->verdict == formats::ScanVerdict::cannot_tell
                          ? "cannot tell"
                          : formats::verdict_name(report->verdict),
                      report->kind));
  }
  for (const auto& finding : report->findings) {
    print(fmt::format("  {}{}{}\n", finding.what.text, finding.subject.empty() ? "" : ": ",
                      finding.subject));
  }
  return status_of(report->verdict);
}

// The worst of several: dangerous before cannot tell before clean.
int worse(int a, int b) {
  if (a == kExitFailure || b == kExitFailure) return kExitFailure;
  return std::max(a, b);
}

int run(const Environment& environment, Options options) {
  int status = kExitOk;
  bool files = false;
  for (const auto& name : options.names) {
    if (!is_file(name)) continue;
    files = true;
    status = worse(status, scan(name, options));
  }
  std::erase_if(options.names, is_file);
  if (files && options.names.empty()) return status;
  NullLogger log;
  auto store = open_store(environment, log);
  if (!store) return report(store.error());
  BytesProgress progress{"hashing", progress_style(options.json, options.quiet)};
  const auto check = store->check(options.names, [&](std::uint64_t done, std::uint64_t total) {
    progress.update(done, total);
  });
  progress.finish();
  if (!check) return report(check.error());
  if (options.json) {
    print_json(*check);
    return worse(status, check->good() ? kExitOk : kExitFailure);
  }
  std::uint64_t bytes = 0;
  for (const auto& blob : check->blobs) {
    if (blob.good) bytes += blob.size_bytes;
    if (blob.good) continue;
    print_error(fmt::format("error: the bytes of {} are not those of its name (of {})",
                            blob.digest.with_prefix(), names_of(blob)));
    print_error(blob.quarantined.empty()
                    ? "  fix: it could not be moved away; is the store writable?"
                    : fmt::format("  fix: it is now {}; `tacit pull` the model again",
                                  blob.quarantined.string()));
  }
  for (const auto& name : check->incomplete) {
    print_error(fmt::format("error: a file is missing: {}\n  fix: `tacit pull` it again", name));
  }
  if (!options.quiet && check->good()) {
    print(fmt::format("All is as it should be: {} files, {}\n", check->blobs.size(),
                      human_bytes(bytes)));
  }
  return worse(status, check->good() ? kExitOk : kExitFailure);
}

}  // namespace

void add_verify_models(CLI::App& verify, Context& context) {
  auto options = std::make_shared<Options>();
  verify.add_option("model", options->names,
                    "Models, or files to look into; none: everything in the store");
  verify.add_flag("--json", options->json, "As JSON");
  verify.add_flag("-q,--quiet", options->quiet, "Say nothing but errors");
  verify.callback([&verify, &context, options] {
    if (!verify.get_subcommands().empty()) return;  // `tacit verify evidence` has its own
    context.chosen = [&context, options] { return run(context.environment, *options); };
  });
}

}  // namespace tacit::cli
