// tacit config, tacit completion: what can be set, told to people, shells and the manual.
#include <algorithm>
#include <filesystem>
#include <utility>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/app.hpp"
#include "cli/commands.hpp"
#include "cli/settings.hpp"
#include "cli/terminal.hpp"

namespace tacit::cli {
namespace {

struct ConfigOptions {
  bool json = false;
  bool markdown = false;
};

std::string one_line(std::string text) {
  std::ranges::replace(text, '\n', ' ');
  return text;
}

void print_markdown(const std::vector<Setting>& settings) {
  print(
      "# Settings\n\n"
      "<!-- Written by `tacit config --markdown`; a test compares. -->\n\n"
      "Every option can be said on the command line, in the environment, or in `tacit.toml`\n"
      "(`--config FILE`, else `$TACIT_CONFIG`, else `~/.config/tacit/tacit.toml`, else\n"
      "`/etc/tacit/tacit.toml`), in that order of rank. In the file, a command is a table: `port = "
      "8080`\n"
      "below `[serve]`.\n");
  std::string command;
  for (const auto& setting : settings) {
    if (setting.command != command) {
      command = setting.command;
      print(fmt::format(
          "\n## tacit {}\n\n| flag | environment | tacit.toml | what |\n|---|---|---|---|\n",
          command));
    }
    auto what = one_line(setting.description);
    for (std::size_t at = 0; (at = what.find('|', at)) != std::string::npos; at += 2) {
      what.insert(at, 1, '\\');
    }
    print(fmt::format("| `{}{}{}` | `{}` | `{}` | {} |\n", setting.flag,
                      setting.value.empty() ? "" : " ", setting.value, setting.variable,
                      setting.key, what));
  }
}

int config(const CLI::App& app, const Environment& environment, const ConfigOptions& options) {
  const auto settings = settings_of(app);
  if (options.markdown) {
    print_markdown(settings);
    return kExitOk;
  }
  const auto file = environment.variable("TACIT_CONFIG").value_or(settings_file(environment));
  std::error_code ignored;
  const bool there = std::filesystem::exists(file, ignored);
  if (options.json) {
    std::vector<std::string> rows;
    for (const auto& setting : settings) {
      rows.push_back(fmt::format(R"({{"key":{},"flag":{},"command":{},"variable":{},"what":{}}})",
                                 json_string(setting.key), json_string(setting.flag),
                                 json_string(setting.command), json_string(setting.variable),
                                 json_string(one_line(setting.description))));
    }
    print(fmt::format("{{\"file\":{},\"exists\":{},\"settings\":[{}]}}\n", json_string(file), there,
                      fmt::join(rows, ",")));
    return kExitOk;
  }
  print(fmt::format("File: {}{}\n\n{:<28} {:<32} {}\n", file, there ? "" : " (not there)", "KEY",
                    "ENVIRONMENT", "WHAT"));
  for (const auto& setting : settings) {
    print(fmt::format("{:<28} {:<32} {}\n", setting.key, setting.variable,
                      one_line(setting.description)));
  }
  return kExitOk;
}

std::vector<CLI::App*> commands_of(CLI::App& app) { return app.get_subcommands(nullptr); }

std::string flags_of(const std::vector<Setting>& settings, const std::string& command) {
  std::string out = "--help";
  for (const auto& setting : settings) {
    if (setting.command == command || setting.command.starts_with(command + " ")) {
      out += " " + setting.flag;
    }
  }
  return out;
}

constexpr std::string_view kModelCommands = "run|show|rm|export|verify|serve";
constexpr std::string_view kListModels = "tacit list 2>/dev/null | awk 'NR>1{print $1}'";

void print_bash(CLI::App& app, const std::vector<Setting>& settings) {
  std::string names;
  std::string cases;
  for (const auto* command : commands_of(app)) {
    names += (names.empty() ? "" : " ") + command->get_name();
    cases += fmt::format("    {}) flags=\"{}\" ;;\n", command->get_name(),
                         flags_of(settings, command->get_name()));
  }
  print(fmt::format(
      "# bash completion for tacit; put it where your shell looks, or: eval \"$(tacit completion "
      "bash)\"\n"
      "_tacit() {{\n"
      "  local word=\"${{COMP_WORDS[COMP_CWORD]}}\" flags=\"\" models=\"\"\n"
      "  if [[ $COMP_CWORD -eq 1 ]]; then\n"
      "    COMPREPLY=($(compgen -W \"{} --help --version --home --config\" -- \"$word\"))\n"
      "    return\n  fi\n"
      "  case \"${{COMP_WORDS[1]}}\" in\n{}  esac\n"
      "  if [[ $word == -* ]]; then\n"
      "    COMPREPLY=($(compgen -W \"$flags\" -- \"$word\"))\n    return\n  fi\n"
      "  case \"${{COMP_WORDS[1]}}\" in\n    {}) models=\"$({})\" ;;\n  esac\n"
      "  COMPREPLY=($(compgen -W \"$models\" -- \"$word\") $(compgen -f -- \"$word\"))\n"
      "}}\n"
      "complete -o filenames -F _tacit tacit\n",
      names, cases, kModelCommands, kListModels));
}

std::string quoted(std::string text) {
  text = one_line(std::move(text));
  std::string out = "'";
  for (const char c : text) out += c == '\'' ? std::string{"'\\''"} : std::string{c};
  return out + "'";
}

void print_zsh(CLI::App& app, const std::vector<Setting>& settings) {
  std::string names;
  std::string cases;
  for (const auto* command : commands_of(app)) {
    names +=
        fmt::format("    {}\n", quoted(command->get_name() + ":" + command->get_description()));
    cases += fmt::format("    {}) compadd -- {} ;;\n", command->get_name(),
                         flags_of(settings, command->get_name()));
  }
  print(fmt::format(
      "#compdef tacit\n"
      "_tacit() {{\n  local -a commands\n  commands=(\n{}  )\n"
      "  if (( CURRENT == 2 )); then _describe command commands; return; fi\n"
      "  if [[ $words[CURRENT] == -* ]]; then\n    case $words[2] in\n{}    esac\n"
      "    return\n  fi\n"
      "  case $words[2] in\n    {}) compadd -- ${{(f)\"$({})\"}} ;;\n  esac\n"
      "  _files\n}}\n"
      "if [[ $funcstack[1] == _tacit ]]; then _tacit \"$@\"; else compdef _tacit tacit; fi\n",
      names, cases, kModelCommands, kListModels));
}

void print_fish(CLI::App& app, const std::vector<Setting>& settings) {
  for (const auto* command : commands_of(app)) {
    print(fmt::format("complete -c tacit -n __fish_use_subcommand -a {} -d {}\n",
                      command->get_name(), quoted(command->get_description())));
  }
  for (const auto& setting : settings) {
    const auto command = setting.command.substr(0, setting.command.find(' '));
    print(fmt::format("complete -c tacit -n '__fish_seen_subcommand_from {}' -l {} -d {}{}\n",
                      command, setting.flag.substr(2), quoted(setting.description),
                      setting.value.empty() ? "" : " -r"));
  }
  for (const auto* command : {"run", "show", "rm", "export", "verify", "serve"}) {
    print(fmt::format(
        "complete -c tacit -n '__fish_seen_subcommand_from {}' -a \"(tacit list 2>/dev/null | awk "
        "'NR>1{{print \\$1}}')\"\n",
        command));
  }
}

// Text as troff wants it: no escapes, and no line that begins with a request.
std::string roff(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\')
      out += "\\e";
    else if (c == '-')
      out += "\\-";
    else if ((c == '.' || c == '\'') && (out.empty() || out.back() == '\n'))
      out += std::string{"\\&"} + c;
    else
      out += c;
  }
  return out;
}

void print_man(CLI::App& app, const std::vector<Setting>& settings) {
  print(
      fmt::format(".TH TACIT 1 \"\" \"tacit {}\" \"User commands\"\n.SH NAME\ntacit \\- {}\n"
                  ".SH SYNOPSIS\n.B tacit\nCOMMAND [OPTION]... [ARGUMENT]...\n.SH COMMANDS\n",
                  TACIT_VERSION, roff("private AI endpoints from verified open-weight models")));
  for (const auto* command : commands_of(app)) {
    print(fmt::format(".SS tacit {}\n{}\n", command->get_name(), roff(command->get_description())));
    for (const auto& setting : settings) {
      if (setting.command != command->get_name() &&
          !setting.command.starts_with(command->get_name() + " ")) {
        continue;
      }
      print(fmt::format(".TP\n.B {}{}{}\n{} (${})\n", roff(setting.flag),
                        setting.value.empty() ? "" : " ", roff(setting.value),
                        roff(one_line(setting.description)), setting.variable));
    }
    if (!command->get_footer().empty()) {
      print(fmt::format(".PP\n.nf\n{}\n.fi\n", roff(command->get_footer())));
    }
  }
  print(
      ".SH FILES\n~/.config/tacit/tacit.toml, /etc/tacit/tacit.toml: settings (tacit config)\n.br\n"
      "$TACIT_HOME, else ~/.local/share/tacit: models, keys\n"
      ".SH EXIT STATUS\n0 success, 1 failure, 2 wrong usage, 3 cannot tell (verify), 130 "
      "interrupted\n");
}

}  // namespace

void add_config(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("config", "Everything that can be set, and where");
  auto options = std::make_shared<ConfigOptions>();
  command->add_flag("--json", options->json, "As JSON");
  command->add_flag("--markdown", options->markdown, "As the page of the documentation");
  command->footer(
      "Rank: command line, environment, tacit.toml, default. The file has a table for each "
      "command:\n\n"
      "  [serve]\n  port = 9000\n\n"
      "Examples:\n  tacit config\n  TACIT_SERVE_PARALLEL=4 tacit serve\n  tacit --config my.toml "
      "serve");
  command->callback([&app, &context, options] {
    context.chosen = [&app, &context, options] {
      return config(app, context.environment, *options);
    };
  });
}

void add_completion(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("completion", "Completions for a shell, and the manual page");
  auto shell = std::make_shared<std::string>();
  command->add_option("shell", *shell, "bash, zsh, fish or man")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish", "man"}));
  command->footer(
      "Examples:\n"
      "  eval \"$(tacit completion bash)\"\n"
      "  tacit completion zsh > ~/.zfunc/_tacit\n"
      "  tacit completion fish > ~/.config/fish/completions/tacit.fish\n"
      "  tacit completion man > tacit.1");
  command->callback([&app, &context, shell] {
    context.chosen = [&app, shell] {
      const auto settings = settings_of(app);
      if (*shell == "bash") print_bash(app, settings);
      if (*shell == "zsh") print_zsh(app, settings);
      if (*shell == "fish") print_fish(app, settings);
      if (*shell == "man") print_man(app, settings);
      return kExitOk;
    };
  });
}

}  // namespace tacit::cli
