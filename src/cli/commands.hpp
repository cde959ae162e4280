// The subcommands: each registers its options on the app and runs when chosen.
#pragma once

#include <functional>

#include "cli/environment.hpp"
#include "engine/engine.hpp"

namespace CLI {
class App;
}

namespace tacit::cli {

// What every command gets. Outlives the parse and the run.
struct Context {
  Environment& environment;
  std::function<int()> chosen;  // set by the callback of the subcommand that was named
};

// The option --kv-type of a command that loads a model.
void add_kv_type(CLI::App& command, engine::KvType& type);

void add_run(CLI::App& app, Context& context);
void add_serve(CLI::App& app, Context& context);
void add_attest(CLI::App& app, Context& context);
void add_connect(CLI::App& app, Context& context);
void add_relay(CLI::App& app, Context& context);
void add_pull(CLI::App& app, Context& context);
void add_list(CLI::App& app, Context& context);
void add_show(CLI::App& app, Context& context);
void add_rm(CLI::App& app, Context& context);
void add_gc(CLI::App& app, Context& context);
void add_import(CLI::App& app, Context& context);
void add_export(CLI::App& app, Context& context);
void add_plan(CLI::App& app, Context& context);
void add_config(CLI::App& app, Context& context);
void add_completion(CLI::App& app, Context& context);
void add_key(CLI::App& app, Context& context);
void add_doctor(CLI::App& app, Context& context);
void add_verify(CLI::App& app, Context& context);
// Options and callback of `tacit verify` itself; add_verify() calls it.
void add_verify_models(CLI::App& verify, Context& context);
void add_version(CLI::App& app, Context& context);

}  // namespace tacit::cli
