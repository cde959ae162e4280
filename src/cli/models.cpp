#include "cli/models.hpp"

#include <algorithm>

#include "registry/pip_config.hpp"

namespace tacit::cli {

Result<std::unique_ptr<registry::Registry>> open_registry(const Environment& environment,
                                                          Logger& log) {
  TACIT_CHECK(environment.make_home());
  TACIT_TRY(auto options, registry::registry_options(environment.models(), environment.getenv()));
  return registry::Registry::open(std::move(options), log);
}

Result<registry::ModelStore> open_store(const Environment& environment, Logger& log) {
  TACIT_CHECK(environment.make_home());
  registry::RegistryOptions options;
  options.models_root = environment.models();
  return registry::ModelStore::open(options, log);
}

bool is_model_path(const std::string& name) {
  std::error_code ec;
  return name.ends_with(".gguf") ||
         (name.find('/') != std::string::npos && std::filesystem::exists(name, ec));
}

Async<std::string> ensure_installed(registry::Registry& registry, std::string name,
                                    PullProgress::Style style) {
  TACIT_CO_TRY(const auto canonical, registry.resolve(name));
  const auto installed = registry.installed();
  const bool there = std::any_of(installed.begin(), installed.end(),
                                 [&](const auto& model) { return model.name == canonical; });
  if (there) co_return canonical;
  PullProgress progress{canonical, style};
  const auto pulled = co_await registry.pull(
      canonical, [&](const registry::Progress& p) { progress.update(p); }, Deadline::never());
  progress.finish();
  if (!pulled) co_return fail(pulled.error());
  co_return canonical;
}

}  // namespace tacit::cli
