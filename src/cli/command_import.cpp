// tacit import: models that are on this machine already.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/app.hpp"
#include "cli/commands.hpp"
#include "cli/models.hpp"
#include "cli/terminal.hpp"
#include "core/text.hpp"
#include "registry/bundle.hpp"
#include "registry/import_plan.hpp"

namespace tacit::cli {
namespace {

struct ImportOptions {
  std::string source;
  std::string name;
  std::string sha256;
  std::string license;
  bool copy = false;
  bool replace = false;
  bool json = false;
  bool quiet = false;
};

class Import {
 public:
  Import(const Environment& environment, const ImportOptions& options)
      : environment_{environment}, options_{options} {}

  int run() {
    NullLogger log;
    auto store = open_store(environment_, log);
    if (!store) return report(store.error());
    auto source = registry::locate_import(options_.source, environment_.getenv());
    if (!source) return report(source.error());
    if (registry::is_bundle(*source)) return import_bundle(*store, *source);
    auto plan = registry::plan_import(*source);
    if (!plan) return report(plan.error());
    if (!options_.name.empty() && plan->items.size() != 1) {
      print_error("error: --name is for one model, and there are several");
      return kExitUsage;
    }
    int status = kExitOk;
    for (const auto& skipped : plan->skipped) print_error("skipped: " + skipped);
    for (auto& item : plan->items) {
      if (import_one(*store, item) != kExitOk) status = kExitFailure;
    }
    return status;
  }

 private:
  int import_one(registry::ModelStore& store, registry::ImportItem& item) const {
    auto& how = item.options;
    if (!options_.name.empty()) how.name = options_.name;
    if (!options_.sha256.empty()) how.sha256 = options_.sha256;
    if (!options_.license.empty()) how.license = options_.license;
    how.may_link = !options_.copy;
    how.replace = options_.replace;
    BytesProgress progress{"importing " + item.file.filename().string(),
                           progress_style(options_.json, options_.quiet)};
    const auto imported = store.import_file(
        item.file, how,
        [&](std::uint64_t done, std::uint64_t total) { progress.update(done, total); });
    progress.finish();
    if (!imported) return report(imported.error());
    say(imported->model, store::placement_name(imported->placement));
    return kExitOk;
  }

  int import_bundle(registry::ModelStore& store, const std::filesystem::path& file) const {
    BytesProgress progress{"importing " + file.filename().string(),
                           progress_style(options_.json, options_.quiet)};
    const auto imported = registry::import_bundle(
        store, file, options_.replace,
        [&](std::uint64_t done, std::uint64_t total) { progress.update(done, total); });
    progress.finish();
    if (!imported) return report(imported.error());
    for (const auto& model : *imported) say(model, "bundle");
    return kExitOk;
  }

  void say(const registry::InstalledModel& model, std::string_view how) const {
    if (options_.json) {
      print(fmt::format(R"({{"model":{},"digest":"{}","bytes":{},"by":"{}","pinned_by":{}}})"
                        "\n",
                        json_string(model.name), model.weights.with_prefix(), model.size_bytes, how,
                        json_string(model.pinned_by)));
    } else if (!options_.quiet) {
      print(fmt::format("{} is installed: {}, {} ({}), licence {}\n", model.name,
                        human_bytes(model.size_bytes), model.weights.with_prefix(), how,
                        value_of(model.license)));
    }
  }
  static std::string value_of(const std::string& text) {
    return std::string{terminal_safe(text).reveal()};
  }

  const Environment& environment_;
  const ImportOptions& options_;
};

struct ExportOptions {
  std::vector<std::string> models;
  std::string output;
  bool json = false;
  bool quiet = false;
};

int export_models(const Environment& environment, const ExportOptions& options) {
  NullLogger log;
  auto store = open_store(environment, log);
  if (!store) return report(store.error());
  BytesProgress progress{"exporting", progress_style(options.json, options.quiet)};
  const auto written = registry::export_bundle(
      *store, options.models, options.output,
      [&](std::uint64_t done, std::uint64_t total) { progress.update(done, total); });
  progress.finish();
  if (!written) return report(written.error());
  if (options.json) {
    print(fmt::format("{{\"file\":{},\"bytes\":{}}}\n", json_string(options.output), *written));
  } else if (!options.quiet) {
    print(fmt::format("{}: {}. Where it is wanted: tacit import {}\n", options.output,
                      human_bytes(*written), options.output));
  }
  return kExitOk;
}

}  // namespace

void add_import(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("import", "Install models that are on this machine already");
  auto options = std::make_shared<ImportOptions>();
  command
      ->add_option(
          "source", options->source,
          "A GGUF file, a folder of them, a bundle, `ollama` or `huggingface` (their caches)")
      ->required();
  command->add_option("--name", options->name, "Name to install it under");
  command->add_option("--sha256", options->sha256, "The digest that the file must have");
  command->add_option("--license", options->license, "SPDX name of its licence");
  command->add_flag("--copy", options->copy, "Never share the file with its original");
  command->add_flag("--replace", options->replace, "Even if the name stands for other weights");
  command->add_flag("--json", options->json, "As JSON, one line per model");
  command->add_flag("-q,--quiet", options->quiet, "Say nothing but errors");
  command->footer(
      "Nothing is copied where the file system can share blocks (reflink) or the file can have a\n"
      "second name (hard link); what was done is said.\n\n"
      "Examples:\n"
      "  tacit import ~/Downloads/model-Q4_K_M.gguf --name acme/model:q4\n"
      "  tacit import ollama                # what Ollama has, in place\n"
      "  tacit import huggingface           # what the Hugging Face cache has, in place\n"
      "  tacit import models.tacit          # a bundle of `tacit export`");
  command->callback([&context, options] {
    context.chosen = [&context, options] { return Import{context.environment, *options}.run(); };
  });
}

void add_export(CLI::App& app, Context& context) {
  auto* command =
      app.add_subcommand("export", "Write models into one file for a machine without network");
  auto options = std::make_shared<ExportOptions>();
  command->add_option("model", options->models, "Model names")->required();
  command->add_option("-o,--output", options->output, "File to write")->required();
  command->add_flag("--json", options->json, "As JSON");
  command->add_flag("-q,--quiet", options->quiet, "Say nothing but errors");
  command->footer(
      "The bundle is a tar file that holds the manifests, the weights and every file that belongs\n"
      "to them. `tacit import` believes none of it before it has hashed it.\n\n"
      "Examples:\n  tacit export smollm2 -o smollm2.tacit\n  tar tvf smollm2.tacit");
  command->callback([&context, options] {
    context.chosen = [&context, options] { return export_models(context.environment, *options); };
  });
}

}  // namespace tacit::cli
