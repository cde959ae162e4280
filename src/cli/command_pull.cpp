// tacit pull NAME: download, verify, install.
#include <signal.h>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/app.hpp"
#include "cli/commands.hpp"
#include "cli/main_loop.hpp"
#include "cli/models.hpp"
#include "cli/process_limits.hpp"
#include "cli/source_pull.hpp"
#include "core/text.hpp"
#include "registry/lock_file.hpp"
#include "registry/reference.hpp"

namespace tacit::cli {
namespace {

struct PullOptions {
  std::string model;
  SourcePullOptions source;
  std::string sha256;
  bool json = false;
  bool quiet = false;
};

void say_installed(const registry::InstalledModel& model, const PullOptions& options) {
  if (options.json) {
    print(fmt::format("{{\"model\":{},\"phase\":\"installed\",\"digest\":\"{}\",\"bytes\":{}}}\n",
                      json_string(model.name), model.weights.with_prefix(), model.size_bytes));
  } else if (!options.quiet) {
    print(fmt::format("{} is installed: {}, {}, licence {}\n", model.name,
                      human_bytes(model.size_bytes), model.weights.with_prefix(),
                      terminal_safe(model.license).reveal()));
  }
}

Task<int> pull_source(Environment& environment, const PullOptions& options, std::string reference,
                      Logger& log) {
  auto how = options.source;
  how.reference = std::move(reference);
  how.style = progress_style(options.json, options.quiet);
  const auto pulled = co_await pull_from_source(environment, std::move(how), log);
  if (!pulled) co_return report(pulled.error());
  say_installed(*pulled, options);
  co_return kExitOk;
}

// Everything that the lock file names.
Task<int> pull_locked(Environment& environment, const PullOptions& options, Logger& log) {
  const auto path = lock_path(environment, options.source.lock_file);
  const auto locks = registry::LockFile::read(path);
  if (!locks) co_return report(locks.error());
  if (locks->entries().empty()) {
    co_return report(Error{Code::not_found, "there is nothing in the lock file"}
                         .about(PublicText{path.string()})
                         .fix("Name a model: tacit pull smollm2"));
  }
  int status = kExitOk;
  for (const auto& entry : locks->entries()) {
    const int one = co_await pull_source(environment, options, entry.reference, log);
    status = one == kExitOk ? status : one;
  }
  co_return status;
}

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
  say_installed(*pulled, options);
  co_return kExitOk;
}

}  // namespace

void add_pull(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("pull", "Download a model and verify every byte");
  auto options = std::make_shared<PullOptions>();
  command->add_option("model", options->model,
                      "Model name from the catalogue, or hf:, ollama:, oci://, https:// or file:; "
                      "none: all of tacit.lock");
  auto& source = options->source;
  command->add_option("--name", source.name, "Name to install it under");
  command->add_flag("--allow-unpinned", source.allow_unpinned,
                    "Take what a reference means today, and write it into the lock file");
  command->add_option("--lock", source.lock_file,
                      "Lock file (default: ./tacit.lock if it is there, else in $TACIT_HOME)");
  command->add_flag("--relock", source.relock,
                    "Do not hold a reference to what the lock file says");
  command->add_flag("--replace", source.replace, "Even if the name stands for other weights");
  command
      ->add_option("--limit-rate", source.bytes_per_second,
                   "Bytes per second at most, such as 500K or 10M")
      ->transform(CLI::AsSizeValue(false));
  command->add_flag("--json", options->json, "Progress as JSON events, one a line");
  command->add_flag("-q,--quiet", options->quiet, "No output but errors");
  command->footer(
      "An interrupted download goes on where it stopped. Bytes that do not have the pinned SHA-256 "
      "never\n"
      "become visible to anything that loads models.\n\n"
      "Examples:\n"
      "  tacit pull smollm2\n"
      "  tacit pull smollm2:135m --json\n"
      "  tacit pull hf:bartowski/SmolLM2-135M-Instruct-GGUF/Q4_K_M\n"
      "  tacit pull ollama:smollm2:135m --allow-unpinned\n"
      "  tacit pull oci://ghcr.io/acme/tiny:1.0 --limit-rate 10M\n"
      "  tacit pull                            # what tacit.lock names");
  command->callback([&context, options] {
    context.chosen = [&context, options] {
      if (const auto enough = need_descriptors(1); !enough) return report(enough.error());
      NullLogger log;
      async::Runtime runtime{1};
      return run_main(runtime, [&]() -> Task<int> {
        if (options->model.empty()) return pull_locked(context.environment, *options, log);
        if (registry::is_reference(options->model)) {
          return pull_source(context.environment, *options, options->model, log);
        }
        return pull(context.environment, *options, log);
      });
    };
  });
}

}  // namespace tacit::cli
