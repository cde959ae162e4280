#include "cli/environment.hpp"

#include <sys/stat.h>

#include <cstdlib>
#include <system_error>

namespace tacit::cli {
namespace fs = std::filesystem;

Environment::Environment(Getenv getenv) : getenv_{std::move(getenv)} {}

Environment Environment::of_process() {
  return Environment{[](const char* name) -> std::optional<std::string> {
    const char* value = std::getenv(name);
    if (value == nullptr || *value == '\0') return std::nullopt;
    return std::string{value};
  }};
}

fs::path Environment::home() const {
  if (!home_option_.empty()) return fs::absolute(home_option_);
  if (const auto home = variable("TACIT_HOME")) return fs::absolute(*home);
  if (const auto data = variable("XDG_DATA_HOME")) return fs::path{*data} / "tacit";
  if (const auto home = variable("HOME")) return fs::path{*home} / ".local/share/tacit";
  return "/var/lib/tacit";
}

Result<void> Environment::make_home() const {
  const auto path = home();
  std::error_code ec;
  const bool made = fs::create_directories(path, ec);
  if (ec) {
    const bool denied =
        ec == std::errc::permission_denied || ec == std::errc::read_only_file_system;
    return fail(Error{denied ? Code::permission : Code::io, "cannot make the data folder"}
                    .about(PublicText{path.string()})
                    .fix("Set TACIT_HOME (or --home) to a folder that you may write"));
  }
  if (made) ::chmod(path.c_str(), 0700);
  return {};
}

Result<std::string> Environment::program() {
  std::error_code ec;
  auto path = fs::read_symlink("/proc/self/exe", ec);
  if (ec)
    return fail(Error{Code::io, "cannot find the path of this program"}.fix("Is /proc mounted?"));
  return path.string();
}

}  // namespace tacit::cli
