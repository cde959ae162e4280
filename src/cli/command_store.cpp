// tacit rm, tacit gc: space on the disk back, without taking what others need.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/app.hpp"
#include "cli/commands.hpp"
#include "cli/models.hpp"
#include "cli/terminal.hpp"
#include "core/text.hpp"

namespace tacit::cli {
namespace {

// A pull that has all bytes is about to name them; an hour later it is not any more.
constexpr std::chrono::hours kYoung{1};

struct RemoveOptions {
  std::vector<std::string> models;
  bool json = false;
  bool quiet = false;
};

struct CollectOptions {
  bool now = false;
  bool dry = false;
  bool json = false;
  bool quiet = false;
};

int remove(const Environment& environment, const RemoveOptions& options) {
  NullLogger log;
  auto store = open_store(environment, log);
  if (!store) return report(store.error());
  int status = kExitOk;
  for (const auto& name : options.models) {
    const auto removed = store->remove(name);
    if (!removed) {
      status = report(removed.error());
      continue;
    }
    if (options.json) {
      print(fmt::format("{{\"removed\":{},\"bytes_freed\":{},\"blobs_kept\":{}}}\n",
                        json_string(removed->name), removed->bytes_freed, removed->blobs_kept));
    } else if (!options.quiet) {
      print(fmt::format("{} is removed: {} freed{}\n", removed->name,
                        human_bytes(removed->bytes_freed),
                        removed->blobs_kept > 0 ? ", the rest belongs to other models, too" : ""));
    }
  }
  return status;
}

int collect(const Environment& environment, const CollectOptions& options) {
  NullLogger log;
  auto store = open_store(environment, log);
  if (!store) return report(store.error());
  const auto before = options.now ? WallTime::max() : SystemClock{}.wall() - kYoung;
  const auto collected = store->collect_garbage(before, options.dry);
  if (!collected) return report(collected.error());
  if (options.json) {
    print(fmt::format("{{\"dry_run\":{},\"blobs\":{},\"leftovers\":{},\"bytes_freed\":{}}}\n",
                      options.dry, collected->blobs, collected->leftovers, collected->bytes_freed));
  } else if (!options.quiet) {
    print(fmt::format("{} {} without a model ({}) and {} left by processes that are gone\n",
                      options.dry ? "Would delete: blobs" : "Deleted: blobs", collected->blobs,
                      human_bytes(collected->bytes_freed), collected->leftovers));
  }
  return kExitOk;
}

}  // namespace

void add_rm(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("rm", "Remove models; files that others need stay");
  auto options = std::make_shared<RemoveOptions>();
  command->add_option("model", options->models, "Model names")->required();
  command->add_flag("--json", options->json, "As JSON, one line per model");
  command->add_flag("-q,--quiet", options->quiet, "Say nothing but errors");
  command->footer("Examples:\n  tacit rm smollm2\n  tacit rm acme/a:1 acme/b:1");
  command->callback([&context, options] {
    context.chosen = [&context, options] { return remove(context.environment, *options); };
  });
}

void add_gc(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("gc", "Delete files of the store that no model needs");
  auto options = std::make_shared<CollectOptions>();
  command->add_flag("--now", options->now, "Also those that came within the last hour");
  command->add_flag("--dry-run", options->dry, "Only say how much that would be");
  command->add_flag("--json", options->json, "As JSON");
  command->add_flag("-q,--quiet", options->quiet, "Say nothing but errors");
  command->footer(
      "Interrupted downloads are kept for a day, to go on with.\n\n"
      "Examples:\n  tacit gc --dry-run\n  tacit gc");
  command->callback([&context, options] {
    context.chosen = [&context, options] { return collect(context.environment, *options); };
  });
}

}  // namespace tacit::cli
