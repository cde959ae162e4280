#include "cli/settings.hpp"

#include <algorithm>
#include <filesystem>
#include <istream>
#include <memory>
#include <utility>

#include <CLI/CLI.hpp>

#include "registry/name.hpp"

namespace tacit::cli {
namespace fs = std::filesystem;
namespace {

bool is_setting(const CLI::Option& option) {
  const auto& names = option.get_lnames();
  return !names.empty() && names.front() != "help" && names.front() != "version" &&
         !option.get_positional();
}

std::string upper(std::string text) {
  for (auto& c : text) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    if (c == '-' || c == ' ' || c == '.') c = '_';
  }
  return text;
}

// Calls `visit` with the path of names ("key create") and each command below `app`.
template <class Visit> void each_command(CLI::App& app, const std::string& path, Visit visit) {
  for (auto* command : app.get_subcommands(nullptr)) {
    const auto name = path.empty() ? command->get_name() : path + " " + command->get_name();
    visit(name, *command);
    each_command(*command, name, visit);
  }
}

std::string key_of(const std::string& command, const std::string& name) {
  auto key = command;
  std::ranges::replace(key, ' ', '.');
  return key + "." + name;
}

// tacit.toml as CLI11 reads TOML, with our rules: no key that is none, and less say than the
// environment.
class SettingsFile final : public CLI::ConfigTOML {
 public:
  SettingsFile(std::vector<Setting> settings, const Environment& environment)
      : settings_{std::move(settings)}, environment_{environment} {}

  std::vector<CLI::ConfigItem> from_config(std::istream& input) const override {
    auto items = CLI::ConfigTOML::from_config(input);
    std::erase_if(items, [&](const CLI::ConfigItem& item) {
      if (item.name == "++" || item.name == "--") return false;  // CLI11's marks of sections
      return !applies(item);
    });
    return items;
  }

 private:
  bool applies(const CLI::ConfigItem& item) const {
    const auto key = item.fullname();
    const auto found = std::ranges::find(settings_, key, &Setting::key);
    if (found != settings_.end()) {
      return !environment_.variable(found->variable.c_str()).has_value();
    }
    std::vector<std::string> known;
    for (const auto& setting : settings_) known.push_back(setting.key);
    auto text = "no setting is called " + registry::printable(key).str();
    const auto near = registry::near_names(key, known);
    if (!near.empty()) text += "; did you mean " + near.front() + "?";
    text += " (tacit config lists them)";
    throw CLI::ConfigError(text, CLI::ExitCodes::ConfigError);  // how CLI11 is told
  }

  std::vector<Setting> settings_;
  const Environment& environment_;
};

}  // namespace

std::vector<Setting> settings_of(const CLI::App& app) {
  std::vector<Setting> settings;
  // Not changed: CLI11 has no other way to see commands that were not chosen.
  each_command(const_cast<CLI::App&>(app), "", [&](const std::string& path, CLI::App& command) {
    for (const auto* option : command.get_options()) {
      if (!is_setting(*option)) continue;
      const auto& name = option->get_lnames().front();
      const bool is_switch = option->get_items_expected_max() == 0;
      const auto variable = option->get_envname().empty() ? upper("tacit_" + path + "_" + name)
                                                          : option->get_envname();
      settings.push_back({path, "--" + name, key_of(path, name), variable,
                          is_switch ? "" : option->get_type_name(), option->get_description()});
    }
  });
  return settings;
}

std::string settings_file(const Environment& environment) {
  std::vector<fs::path> candidates;
  if (const auto config = environment.variable("XDG_CONFIG_HOME")) {
    candidates.push_back(fs::path{*config} / "tacit/tacit.toml");
  } else if (const auto home = environment.variable("HOME")) {
    candidates.push_back(fs::path{*home} / ".config/tacit/tacit.toml");
  }
  candidates.emplace_back("/etc/tacit/tacit.toml");
  std::error_code ignored;
  for (const auto& candidate : candidates) {
    if (fs::exists(candidate, ignored)) return candidate.string();
  }
  return candidates.front().string();
}

void use_settings(CLI::App& app, const Environment& environment) {
  const auto settings = settings_of(app);
  each_command(app, "", [](const std::string& path, CLI::App& command) {
    for (auto* option : command.get_options()) {
      if (!is_setting(*option) || !option->get_envname().empty()) continue;
      option->envname(upper("tacit_" + path + "_" + option->get_lnames().front()));
    }
  });
  app.config_formatter(std::make_shared<SettingsFile>(settings, environment));
  const auto named = environment.variable("TACIT_CONFIG");
  app.set_config("--config", named.value_or(settings_file(environment)),
                 "File with settings (see tacit config)", named.has_value());
}

}  // namespace tacit::cli
