// tacit pull NAME: download, verify, install.
#include <signal.h>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/app.hpp"
#include "cli/commands.hpp"
#include "cli/main_loop.hpp"
#include "cli/models.hpp"
#include "cli/process_limits.hpp"
#include "core/text.hpp"

namespace tacit::cli {
namespace {

struct PullOptions {
  std::string model;
  bool json = false;
  bool quiet = false;
};

Task<int> pull(Environment& environment, const PullOptions& options, Logger& log) {
  auto registry = open_registry(environment, log);
  if (!registry) co_return report(registry.error());
  const auto name = (*registry)->resolve(options.model);
  if (!name) co_return report(name.error());
  PullProgress progress{*name, progress_style(options.json, options.quiet)};
  const auto pulled = co_await (*registry)->pull(
      *name, [&](const registry::Progress& p) { progress.update(p); }, Deadline::never());
  progress.finish();
  if (!pulled) co_return report(pulled.error());
  if (options.json) {
    print(fmt::format("{{\"model\":{},\"phase\":\"installed\",\"digest\":\"{}\",\"bytes\":{}}}\n",
                      json_string(pulled->name), pulled->weights.with_prefix(),
                      pulled->size_bytes));
  } else if (!options.quiet) {
    print(fmt::format("{} is installed: {}, {}, licence {}\n", pulled->name,
                      human_bytes(pulled->size_bytes), pulled->weights.with_prefix(),
                      pulled->license));
  }
  co_return kExitOk;
}

}  // namespace

void add_pull(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("pull", "Download a model and verify every byte");
  auto options = std::make_shared<PullOptions>();
  command->add_option("model", options->model, "Model name from the catalogue")->required();
  command->add_flag("--json", options->json, "Progress as JSON events, one a line");
  command->add_flag("-q,--quiet", options->quiet, "No output but errors");
  command->footer(
      "An interrupted download goes on where it stopped. Bytes that do not have the pinned SHA-256 "
      "never\n"
      "become visible to anything that loads models.\n\n"
      "Examples:\n"
      "  tacit pull smollm2\n"
      "  tacit pull smollm2:135m --json");
  command->callback([&context, options] {
    context.chosen = [&context, options] {
      if (const auto enough = need_descriptors(1); !enough) return report(enough.error());
      NullLogger log;
      async::Runtime runtime{1};
      return run_main(runtime, [&] { return pull(context.environment, *options, log); });
    };
  });
}

}  // namespace tacit::cli
