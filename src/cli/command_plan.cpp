// tacit plan MODEL: the memory that a model will take, before it is loaded.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/app.hpp"
#include "cli/commands.hpp"
#include "cli/models.hpp"
#include "cli/terminal.hpp"
#include "core/text.hpp"
#include "engine/memory_plan.hpp"
#include "registry/local_file.hpp"

namespace tacit::cli {
namespace {

struct PlanCommandOptions {
  std::string model;
  engine::PlanOptions plan;
  bool json = false;
};

Result<engine::MemoryPlan> make_plan(const Environment& environment,
                                     const PlanCommandOptions& options) {
  if (is_model_path(options.model)) {
    TACIT_TRY(const auto opened, registry::open_local_file(options.model));
    return engine::plan_file(opened.weights.get(), options.plan);
  }
  NullLogger log;
  TACIT_TRY(const auto registry, open_registry(environment, log));
  TACIT_TRY(const auto name, registry->resolve(options.model));
  TACIT_TRY(const auto opened, registry->open_weights(name));
  return engine::plan_file(opened.weights.get(), options.plan);
}

std::string as_json(const engine::MemoryPlan& plan) {
  return fmt::format(
      R"({{"architecture":{},"context_tokens":{},"sequences":{},"weights_bytes":{},"kv_bytes":{},)"
      R"("kv_bytes_per_token":{},"compute_bytes":{},"process_bytes":{},"total_bytes":{},)"
      R"("embeddings_bytes":{},"usable_bytes":{},"fits":{}}})"
      "\n",
      json_string(plan.architecture), plan.context_tokens, plan.sequences, plan.weights_bytes,
      plan.kv_bytes, plan.kv_bytes_per_token, plan.compute_bytes, plan.process_bytes,
      plan.total_bytes(), plan.embeddings_bytes, plan.memory_bytes, plan.fits());
}

std::string as_table(const engine::MemoryPlan& plan) {
  std::string out = fmt::format("{:<12} {:>10}\n", "weights", human_bytes(plan.weights_bytes));
  out +=
      fmt::format("{:<12} {:>10}  {} x {} tokens, {} each\n", "cache", human_bytes(plan.kv_bytes),
                  plan.sequences, plan.context_tokens, human_bytes(plan.kv_bytes_per_token));
  out += fmt::format("{:<12} {:>10}\n", "computing", human_bytes(plan.compute_bytes));
  out += fmt::format("{:<12} {:>10}\n", "process", human_bytes(plan.process_bytes));
  out += fmt::format("{:<12} {:>10}\n", "total", human_bytes(plan.total_bytes()));
  out += fmt::format("{:<12} {:>10}  more, once embeddings are asked for\n", "embeddings",
                     human_bytes(plan.embeddings_bytes));
  if (plan.memory_bytes > 0) {
    out += fmt::format("{:<12} {:>10}  {}\n", "usable now", human_bytes(plan.memory_bytes),
                       plan.fits() ? "it fits" : "IT DOES NOT FIT, and would not be loaded");
  }
  return out;
}

int plan(const Environment& environment, const PlanCommandOptions& options) {
  const auto made = make_plan(environment, options);
  if (!made) return report(made.error());
  print(options.json ? as_json(*made) : as_table(*made));
  return made->fits() ? kExitOk : kExitFailure;
}

}  // namespace

void add_plan(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("plan", "The memory that a model will take");
  auto options = std::make_shared<PlanCommandOptions>();
  command->add_option("model", options->model, "An installed model, or the path of a GGUF file")
      ->required();
  command->add_option("--context", options->plan.context_tokens,
                      "Context per request in tokens (default: what fits, at most 4096)");
  command
      ->add_option("--parallel", options->plan.sequences_max,
                   "Requests in one batch (default: what fits, at most 8)")
      ->check(CLI::Range(1u, 256u));
  add_kv_type(*command, options->plan.kv_type);
  command->add_flag("--json", options->json, "As JSON");
  command->footer(
      "Ends with 1 when it does not fit.\n\n"
      "Examples:\n"
      "  tacit plan smollm2\n"
      "  tacit plan smollm2 --context 8192 --parallel 4 --kv-type q8_0\n"
      "  tacit plan ./model.gguf --json");
  command->callback([&context, options] {
    context.chosen = [&context, options] { return plan(context.environment, *options); };
  });
}

}  // namespace tacit::cli
