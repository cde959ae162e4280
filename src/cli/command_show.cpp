// tacit show MODEL: what a model is, where it came from, and what it needs.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/app.hpp"
#include "cli/commands.hpp"
#include "cli/models.hpp"
#include "cli/terminal.hpp"
#include "core/text.hpp"
#include "registry/local_file.hpp"

namespace tacit::cli {
namespace {

struct ShowOptions {
  std::string model;
  bool json = false;
  bool chat_template = false;
  bool metadata = false;
};

std::uint64_t parameters_of(const formats::GgufFile& header) {
  std::uint64_t count = 0;
  for (const auto& tensor : header.tensors) {
    std::uint64_t elements = 1;
    for (const auto n : tensor.dimensions) elements *= n;
    count += elements;
  }
  return count;
}

std::string human_count(std::uint64_t n) {
  if (n >= 1'000'000'000) return fmt::format("{:.1f} billion", static_cast<double>(n) / 1e9);
  if (n >= 1'000'000) return fmt::format("{:.0f} million", static_cast<double>(n) / 1e6);
  return std::to_string(n);
}

std::string value_text(const formats::GgufValue& value) {
  struct Visitor {
    std::string operator()(const std::string& text) const {
      const auto safe = terminal_safe(text);
      std::string line;
      for (const char c : safe.reveal().substr(0, 200)) line += c == '\n' ? ' ' : c;
      return text.size() > 200 ? line + "..." : line;
    }
    std::string operator()(const formats::GgufArray& array) const {
      return fmt::format("[{} values]", array.count);
    }
    std::string operator()(bool flag) const { return flag ? "true" : "false"; }
    std::string operator()(std::uint64_t n) const { return std::to_string(n); }
    std::string operator()(std::int64_t n) const { return std::to_string(n); }
    std::string operator()(double n) const { return fmt::format("{}", n); }
  };
  return std::visit(Visitor{}, value);
}

void print_json(const registry::Registry::Opened& opened) {
  const auto& [model, weights, header, sampling] = opened;
  std::vector<std::string> files;
  for (const auto& file : model.files) {
    files.push_back(fmt::format(R"({{"role":{},"digest":"{}","bytes":{}}})", json_string(file.role),
                                file.digest.with_prefix(), file.size_bytes));
  }
  print(fmt::format(R"({{"name":{},"title":{},"license":{},"bytes":{},"digest":"{}","source":{},)"
                    R"("pinned_by":{},"installed_unix_s":{},"architecture":{},"context_tokens":{},)"
                    R"("parameters":{},"tensors":{},"chat_template":{},"files":[{}]}})"
                    "\n",
                    json_string(model.name), json_string(model.title), json_string(model.license),
                    model.size_bytes, model.weights.with_prefix(), json_string(model.source),
                    json_string(model.pinned_by), model.pulled_unix_s,
                    json_string(header.architecture()), header.context_length().value_or(0),
                    parameters_of(header), header.tensors.size(),
                    header.chat_template() ? json_string(*header.chat_template()) : "null",
                    fmt::join(files, ",")));
}

void print_text(const registry::Registry::Opened& opened) {
  const auto& [model, weights, header, sampling] = opened;
  const auto line = [](std::string_view name, const std::string& value) {
    if (!value.empty()) print(fmt::format("{:<14} {}\n", name, value_text(value)));
  };
  line("name", model.name);
  line("title", model.title);
  line("licence", model.license);
  line("size", human_bytes(model.size_bytes));
  line("digest", model.weights.with_prefix());
  line("source", model.source);
  line("pinned by", model.pinned_by);
  line("architecture", header.architecture());
  if (const auto context = header.context_length()) {
    line("context", fmt::format("{} tokens", *context));
  }
  line("parameters", human_count(parameters_of(header)));
  line("tensors", std::to_string(header.tensors.size()));
  line("chat template", header.chat_template() ? "yes (--template shows it)" : "none");
  for (const auto& file : model.files) {
    line(file.role, fmt::format("{}, {}", human_bytes(file.size_bytes), file.digest.with_prefix()));
  }
}

int show(const Environment& environment, const ShowOptions& options) {
  NullLogger log;
  const auto open = [&]() -> Result<registry::Registry::Opened> {
    if (is_model_path(options.model)) return registry::open_local_file(options.model);
    TACIT_TRY(auto registry, open_registry(environment, log));
    return registry->open_weights(options.model);
  };
  const auto opened = open();
  if (!opened) return report(opened.error());
  const auto text = opened->header.chat_template();
  if (options.chat_template && !text) {
    print_error("The model has no chat template.");
    return kExitFailure;
  }
  if (options.chat_template) {
    print(is_terminal(STDOUT_FILENO) ? terminal_safe(*text).reveal() : std::string_view{*text});
    print("\n");
    return kExitOk;
  }
  if (options.json) {
    print_json(*opened);
    return kExitOk;
  }
  print_text(*opened);
  if (options.metadata) {
    print("\n");
    for (const auto& [key, value] : opened->header.metadata) {
      print(fmt::format("{} = {}\n", value_text(key), value_text(value)));
    }
  }
  return kExitOk;
}

}  // namespace

void add_show(CLI::App& app, Context& context) {
  auto* command = app.add_subcommand("show", "What a model is and where it came from");
  auto options = std::make_shared<ShowOptions>();
  command->add_option("model", options->model, "Model name, or path of a GGUF file")->required();
  command->add_flag("--template", options->chat_template, "Only the chat template");
  command->add_flag("--metadata", options->metadata, "Everything the file says about itself");
  command->add_flag("--json", options->json, "As JSON");
  command->footer(
      "Examples:\n  tacit show smollm2\n  tacit show smollm2 --template\n"
      "  tacit show ./model.gguf --json");
  command->callback([&context, options] {
    context.chosen = [&context, options] { return show(context.environment, *options); };
  });
}

}  // namespace tacit::cli
