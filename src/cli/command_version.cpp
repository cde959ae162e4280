// tacit version
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/app.hpp"
#include "cli/commands.hpp"
#include "cli/terminal.hpp"
#include "engine/engine.hpp"

namespace tacit::cli {

void add_version(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("version", "Versions of Tacit and of what it is built from");
  auto json = std::make_shared<bool>(false);
  command->add_flag("--json", *json, "As JSON");
  command->footer("Examples:\n  tacit version\n  tacit version --json");
  command->callback([&context, json] {
    context.chosen = [json] {
      const auto engine = engine::engine_description();
      if (*json)
        print(fmt::format("{{\"tacit\":\"{}\",\"engine\":{}}}\n", TACIT_VERSION,
                          json_string(engine)));
      else
        print(fmt::format("tacit {}\n{}\n", TACIT_VERSION, engine));
      return kExitOk;
    };
  });
}

}  // namespace tacit::cli
