// tacit list: what is installed, and with --available what could be.
#include <algorithm>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/app.hpp"
#include "cli/commands.hpp"
#include "cli/models.hpp"
#include "core/text.hpp"

namespace tacit::cli {
namespace {

struct ListOptions {
  bool json = false;
  bool available = false;
};

std::string json_row(std::string_view name, std::string_view digest, std::uint64_t bytes,
                     std::string_view license, bool installed) {
  return fmt::format(R"({{"name":{},"digest":{},"bytes":{},"license":{},"installed":{}}})",
                     json_string(name), json_string(digest), bytes, json_string(license),
                     installed);
}

int list(Environment& environment, const ListOptions& options) {
  NullLogger log;
  auto registry = open_registry(environment, log);
  if (!registry) return report(registry.error());
  const auto installed = (*registry)->installed();
  std::vector<std::string> rows;
  std::string table =
      fmt::format("{:<24} {:>10}  {:<12} {}\n", "NAME", "SIZE", "LICENCE", "DIGEST");
  for (const auto& model : installed) {
    rows.push_back(
        json_row(model.name, model.weights.with_prefix(), model.size_bytes, model.license, true));
    table += fmt::format("{:<24} {:>10}  {:<12} {}\n", model.name, human_bytes(model.size_bytes),
                         model.license, model.weights.with_prefix().substr(0, 19));
  }
  for (const auto& entry : (*registry)->catalogue()) {
    const bool there = std::any_of(installed.begin(), installed.end(),
                                   [&](const auto& model) { return model.name == entry.name; });
    if (there || !options.available) continue;
    rows.push_back(
        json_row(entry.name, "sha256:" + entry.sha256, entry.size_bytes, entry.license, false));
    table += fmt::format("{:<24} {:>10}  {:<12} not installed\n", entry.name,
                         human_bytes(entry.size_bytes), entry.license);
  }
  if (options.json)
    print(fmt::format("{{\"models\":[{}]}}\n", fmt::join(rows, ",")));
  else if (rows.empty())
    print("No models are installed. Try: tacit pull smollm2 (or tacit list --available)\n");
  else
    print(table);
  return kExitOk;
}

}  // namespace

void add_list(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("list", "Installed models");
  auto options = std::make_shared<ListOptions>();
  command->add_flag("--json", options->json, "As JSON");
  command->add_flag("--available", options->available,
                    "Also models of the catalogue that are not installed");
  command->footer("Examples:\n  tacit list\n  tacit list --available\n  tacit list --json");
  command->callback([&context, options] {
    context.chosen = [&context, options] { return list(context.environment, *options); };
  });
}

}  // namespace tacit::cli
