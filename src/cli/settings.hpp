// Settings: every option of every command, by one table that CLI11's own description of them is.
// Flags, names in the environment, tacit.toml, --help, completions, the manual and docs/settings.md
// all come from it.
#pragma once

#include <string>
#include <vector>

#include "cli/environment.hpp"

namespace CLI {
class App;
}

namespace tacit::cli {

struct Setting {
  std::string command;      // "serve", "key create"
  std::string flag;         // "--port"
  std::string key;          // "serve.port" in tacit.toml
  std::string variable;     // "TACIT_PORT"
  std::string value;        // "UINT"; "" for a switch
  std::string description;  // as --help has it
};

// All settings below `app`, in the order of their registration. Positional arguments, --help and
// what is about the program as a whole are none.
std::vector<Setting> settings_of(const CLI::App& app);

// use_settings gives every option a name in the environment, and lets the file of --config (else
// $TACIT_CONFIG, else the user's, else /etc/tacit/tacit.toml) say what neither the command line nor
// the environment does. A key that is none is an error which names the nearest one.
void use_settings(CLI::App& app, const Environment& environment);

// The file that is read when nobody names one; it need not be there.
std::string settings_file(const Environment& environment);

}  // namespace tacit::cli
