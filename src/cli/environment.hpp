// Where things are: $TACIT_HOME and what lies in it. The only place of the program that reads the
// process environment.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "core/error.hpp"

namespace tacit::cli {

// Environment is what the process was started with, settled once.
class Environment {
 public:
  using Getenv = std::function<std::optional<std::string>(const char*)>;
  explicit Environment(Getenv getenv);
  // The real one.
  static Environment of_process();

  std::optional<std::string> variable(const char* name) const { return getenv_(name); }
  const Getenv& getenv() const noexcept { return getenv_; }

  // $TACIT_HOME, or --home; default $XDG_DATA_HOME/tacit, else ~/.local/share/tacit.
  std::filesystem::path home() const;
  void set_home(std::string home) { home_option_ = std::move(home); }
  std::filesystem::path models() const { return home() / "models"; }
  std::filesystem::path database() const { return home() / "state.db"; }
  std::filesystem::path identity() const { return home() / "identity.key"; }
  // Makes the home folder (0700). Errors: permission, io, with the path.
  Result<void> make_home() const;

  // The absolute path of the running binary.
  static Result<std::string> program();

 private:
  Getenv getenv_;
  std::string home_option_;
};

}  // namespace tacit::cli
