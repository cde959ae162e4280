#include "cli/app.hpp"

#include <CLI/CLI.hpp>

#include "cli/commands.hpp"
#include "cli/process_limits.hpp"
#include "cli/settings.hpp"
#include "cli/terminal.hpp"
#include "engine/engine.hpp"

namespace tacit::cli {
namespace {

constexpr const char* kFooter =
    "Examples:\n"
    "  tacit run smollm2 \"Name three colours.\"   # pull, verify, answer\n"
    "  tacit serve                               # OpenAI, Anthropic, Ollama on 127.0.0.1:8080\n"
    "  tacit list --available                    # models that can be pulled by name\n\n"
    "Exit codes: 0 success, 1 failure, 2 wrong usage, 3 cannot tell (verify), 130 interrupted.\n"
    "Data lives in $TACIT_HOME (default ~/.local/share/tacit); settings: tacit config.";

}  // namespace

int run_app(int argc, char** argv) {
  // `tacit worker` is started by the engine only, and must do as little as possible before its
  // sandbox.
  if (argc > 1 && std::string_view{argv[1]} == "worker") {
    return engine::worker_main({argv + 2, argv + argc});
  }
  forbid_core_dumps();
  take_file_limit_as_error();
  open_standard_descriptors();
  auto environment = Environment::of_process();
  Context context{environment, {}};
  CLI::App app{"Tacit: private AI endpoints from verified open-weight models", "tacit"};
  app.require_subcommand(1);
  app.fallthrough();
  app.footer(kFooter);
  app.set_version_flag("--version", "tacit " TACIT_VERSION);
  std::string home;
  app.add_option("--home", home, "Data folder (default: $TACIT_HOME)");
  add_run(app, context);
  add_serve(app, context);
  add_connect(app, context);
  add_relay(app, context);
  add_attest(app, context);
  add_pull(app, context);
  add_list(app, context);
  add_show(app, context);
  add_rm(app, context);
  add_import(app, context);
  add_export(app, context);
  add_gc(app, context);
  add_plan(app, context);
  add_key(app, context);
  add_doctor(app, context);
  add_verify(app, context);
  add_config(app, context);
  add_completion(app, context);
  add_version(app, context);
  use_settings(app, environment);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {  // a third-party edge: CLI11 reports usage by throwing
    const int status = app.exit(error);
    return status == 0 ? kExitOk : kExitUsage;
  }
  if (!home.empty()) environment.set_home(std::move(home));
  return context.chosen();
}

}  // namespace tacit::cli
