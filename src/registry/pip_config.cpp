#include "registry/pip_config.hpp"

#include <utility>
#include <vector>

#include "core/text.hpp"
#include "store/file.hpp"

namespace tacit::registry {
namespace {

constexpr std::uint64_t kConfigBytesMax = 1024 * 1024;

std::string_view trim(std::string_view text) {
  while (!text.empty() && (trim_ascii(text) != text || text.ends_with('\r'))) {
    text = trim_ascii(text);
    if (text.ends_with('\r')) text.remove_suffix(1);
  }
  return text;
}

// "--index_url" and "Index-URL" are index-url.
std::string normal_key(std::string_view key) {
  auto out = to_lower_ascii(trim(key));
  for (auto& c : out) {
    if (c == '_') c = '-';
  }
  return out.starts_with("--") ? out.substr(2) : out;
}

std::string* field(PipSettings& settings, std::string_view key) {
  if (key == "index-url") return &settings.index_url;
  if (key == "cert") return &settings.ca_file;
  if (key == "proxy") return &settings.proxy;
  return nullptr;
}

void override_with(PipSettings& settings, const PipSettings& stronger) {
  if (!stronger.index_url.empty()) settings.index_url = stronger.index_url;
  if (!stronger.ca_file.empty()) settings.ca_file = stronger.ca_file;
  if (!stronger.proxy.empty()) settings.proxy = stronger.proxy;
}

std::optional<std::string> non_empty(const Getenv& variable, const char* name) {
  auto value = variable(name);
  return value && !value->empty() ? value : std::nullopt;
}

std::vector<std::filesystem::path> config_files(const Getenv& variable) {
  std::vector<std::filesystem::path> files{"/etc/xdg/pip/pip.conf", "/etc/pip.conf"};
  if (const auto folders = non_empty(variable, "XDG_CONFIG_DIRS")) {
    files.erase(files.begin());
    std::string_view rest = *folders;
    while (!rest.empty()) {
      const auto folder = rest.substr(0, rest.find(':'));
      if (!folder.empty())
        files.insert(files.begin(), std::filesystem::path{folder} / "pip/pip.conf");
      rest.remove_prefix(std::min(rest.size(), folder.size() + 1));
    }
  }
  const auto home = non_empty(variable, "HOME");
  if (home) files.push_back(std::filesystem::path{*home} / ".pip/pip.conf");
  if (const auto config = non_empty(variable, "XDG_CONFIG_HOME")) {
    files.push_back(std::filesystem::path{*config} / "pip/pip.conf");
  } else if (home) {
    files.push_back(std::filesystem::path{*home} / ".config/pip/pip.conf");
  }
  if (const auto venv = non_empty(variable, "VIRTUAL_ENV")) {
    files.push_back(std::filesystem::path{*venv} / "pip.conf");
  }
  if (const auto named = non_empty(variable, "PIP_CONFIG_FILE")) {
    if (*named == "/dev/null") return {};
    files.emplace_back(*named);
  }
  return files;
}

}  // namespace

PipConfigText parse_pip_config(std::string_view text) {
  PipConfigText out;
  PipSettings* section = nullptr;
  std::string* open = nullptr;  // the value that an indented line goes on with
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    const auto content = trim(line);
    if (content.empty() || content.starts_with('#') || content.starts_with(';')) continue;
    if (line.front() == ' ' || line.front() == '\t') {
      // Only a value that has not begun yet: all of ours are one word.
      if (open != nullptr && open->empty()) *open = content;
      continue;
    }
    open = nullptr;
    if (content.starts_with('[')) {
      const auto name = content.substr(1, content.find(']') - 1);
      section = name == "global" ? &out.global : name == "install" ? &out.install : nullptr;
      continue;
    }
    const auto separator = content.find_first_of("=:");
    if (section == nullptr || separator == std::string_view::npos) continue;
    open = field(*section, normal_key(content.substr(0, separator)));
    if (open != nullptr) *open = trim(content.substr(separator + 1));
  }
  return out;
}

PipSettings pip_settings(const Getenv& variable) {
  PipSettings global;
  PipSettings install;
  for (const auto& path : config_files(variable)) {
    const auto bytes = store::read_file(path, kConfigBytesMax);
    if (!bytes) continue;
    const auto parsed = parse_pip_config(as_text(*bytes));
    override_with(global, parsed.global);
    override_with(install, parsed.install);
  }
  override_with(global,
                install);  // the command's section of any file outranks [global] of every file
  override_with(global, {.index_url = variable("PIP_INDEX_URL").value_or(""),
                         .ca_file = variable("PIP_CERT").value_or(""),
                         .proxy = variable("PIP_PROXY").value_or("")});
  return global;
}

Result<RegistryOptions> registry_options(std::filesystem::path models_root,
                                         const Getenv& variable) {
  auto pip = pip_settings(variable);
  const auto proxy = [&](const char* lower, const char* upper) -> std::string {
    if (auto value = non_empty(variable, lower)) return *std::move(value);
    if (auto value = non_empty(variable, upper)) return *std::move(value);
    return non_empty(variable, "all_proxy").value_or(non_empty(variable, "ALL_PROXY").value_or(""));
  };
  RegistryOptions options;
  options.models_root = std::move(models_root);
  options.pypi_index_url = std::move(pip.index_url);
  options.ca_file = std::move(pip.ca_file);
  // HTTP_PROXY in capitals may come from a request's header in CGI programs, so it is not honoured;
  // curl does the same.
  options.http.https_proxy = proxy("https_proxy", "HTTPS_PROXY");
  options.http.http_proxy = proxy("http_proxy", "http_proxy");
  if (!pip.proxy.empty()) options.http.https_proxy = options.http.http_proxy = pip.proxy;
  options.http.no_proxy =
      non_empty(variable, "no_proxy").value_or(non_empty(variable, "NO_PROXY").value_or(""));
  return options;
}

}  // namespace tacit::registry
