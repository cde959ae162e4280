#include "cli/source_pull.hpp"

#include <unistd.h>

#include <array>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "async/tls_context.hpp"
#include "cli/models.hpp"
#include "core/text.hpp"
#include "registry/import_plan.hpp"
#include "registry/lock_file.hpp"
#include "registry/pip_config.hpp"
#include "registry/puller.hpp"

namespace tacit::cli {
namespace {

constexpr Seconds kLockPatience{30};

// A question on the terminal; anything but yes is no.
bool confirmed(const std::string& question) {
  if (!is_terminal(STDIN_FILENO) || !is_terminal(STDERR_FILENO)) return false;
  write_all(STDERR_FILENO, question + " [y/N] ");
  std::array<char, 64> answer{};
  const auto n = ::read(STDIN_FILENO, answer.data(), answer.size());
  return n > 0 && (answer[0] == 'y' || answer[0] == 'Y');
}

Error not_pinned(const std::string& reference) {
  return Error{Code::forbidden, "this can mean other bytes tomorrow"}
      .about(PublicText{reference})
      .fix(
          "Name a commit or a digest, or say --allow-unpinned: what comes is then written into "
          "tacit.lock");
}

// What is the same for every pull of this process.
class SourcePull {
 public:
  SourcePull(const Environment& environment, SourcePullOptions options, Logger& log)
      : environment_{environment},
        options_{std::move(options)},
        log_{log},
        lock_path_{lock_path(environment, options_.lock_file)} {}

  Async<registry::InstalledModel> run() {
    TACIT_CO_TRY(const auto reference, registry::parse_reference(options_.reference));
    TACIT_CO_TRY(auto store, open_store(environment_, log_));
    if (const auto* file = std::get_if<registry::FileReference>(&reference)) {
      co_return import(store, file->path);
    }
    const auto text = registry::reference_text(reference);
    TACIT_CO_TRY(auto locks, registry::LockFile::read(lock_path_));
    const auto* known = options_.relock ? nullptr : locks.find(text);
    if (known != nullptr && options_.name.empty()) options_.name = known->name;
    if (known != nullptr) {
      const auto there = store.find(known->name);
      if (there && there->weights == known->weights && store.blobs().contains(known->weights)) {
        co_return there;
      }
    }
    TACIT_CO_TRY(const auto exact,
                 registry::parse_reference(known != nullptr ? known->source : text));
    TACIT_CO_CHECK(prepare_client());
    registry::Planner planner{*client_, settings_, registry_options_.transfer};
    TACIT_CO_TRY(auto plan, co_await planner.plan(exact, Deadline::never()));
    TACIT_CO_CHECK(settle(plan, known, text));
    co_return co_await fetch(store, std::move(plan), known != nullptr, text);
  }

 private:
  Result<void> prepare_client() {
    TACIT_TRY(registry_options_,
              registry::registry_options(environment_.models(), environment_.getenv()));
    settings_ = registry::source_settings(environment_.getenv());
    TACIT_TRY(registry_options_.http.tls,
              async::TlsClientContext::create(
                  {.ca_file = registry_options_.ca_file, .allow_tls12 = true}));
    client_.emplace(registry_options_.http);
    return {};
  }

  Result<registry::InstalledModel> import(registry::ModelStore& store, const std::string& path) {
    TACIT_TRY(auto plan, registry::plan_import(path));
    if (plan.items.size() != 1) {
      return fail(Error{Code::invalid_argument, "not one GGUF file"}
                      .about(PublicText{path})
                      .fix("`tacit import` takes folders"));
    }
    auto& how = plan.items.front().options;
    how.name = options_.name;
    how.replace = options_.replace;
    TACIT_TRY(auto imported, store.import_file(plan.items.front().file, how, nullptr));
    return std::move(imported.model);
  }

  // Whether the bytes of this plan may come.
  Result<void> settle(registry::PullPlan& plan, const registry::LockEntry* known,
                      const std::string& text) const {
    auto& weights = plan.files.front();
    if (known != nullptr) {
      if (weights.digest && *weights.digest != known->weights) {
        return fail(Error{Code::corrupt, "the source has other bytes now than tacit.lock says"}
                        .about(PublicText{text})
                        .fix("Ask its publisher what happened; --relock takes the new ones"));
      }
      weights.digest = known->weights;
      return {};
    }
    if (plan.pinned || options_.allow_unpinned) return {};
    const auto digest =
        weights.digest ? weights.digest->with_prefix() : std::string{"an unknown digest"};
    if (confirmed(fmt::format("{} is not pinned: its publisher may change it. It is now {} ({}).\n"
                              "Take it, and write that into {}?",
                              text, human_bytes(weights.size_bytes), digest,
                              lock_path_.string()))) {
      return {};
    }
    return fail(not_pinned(text));
  }

  Async<registry::InstalledModel> fetch(registry::ModelStore& store, registry::PullPlan plan,
                                        bool locked, std::string text) {
    auto source = plan.source;
    const bool by_source = plan.pinned;
    if (options_.style == PullProgress::Style::json) say_resolved(plan, text);
    PullProgress progress{options_.name.empty() ? plan.name : options_.name, options_.style};
    registry::Puller puller{*client_, registry_options_.transfer, store, log_};
    registry::PullOptions how{.name = options_.name,
                              .pinned_by = locked      ? "lock"
                                           : by_source ? "source"
                                                       : "nothing",
                              .bytes_per_second = options_.bytes_per_second,
                              .replace = options_.replace};
    const auto pulled = co_await puller.pull(
        std::move(plan), std::move(how), [&](const registry::Progress& p) { progress.update(p); },
        Deadline::never());
    progress.finish();
    if (!pulled) co_return pulled;
    // An address that names no digest does so from now on.
    if (source.starts_with("http") && source.find('#') == std::string::npos) {
      source += "#sha256=" + pulled->weights.hex();
    }
    TACIT_CO_CHECK(remember(*pulled, text, source));
    co_return pulled;
  }

  static void say_resolved(const registry::PullPlan& plan, const std::string& text) {
    const auto& weights = plan.files.front();
    print(fmt::format(
        R"({{"model":{},"phase":"resolved","reference":{},"source":{},"pinned":{},)"
        R"("digest":{},"bytes_total":{}}})"
        "\n",
        json_string(plan.name), json_string(text), json_string(plan.source), plan.pinned,
        weights.digest ? json_string(weights.digest->with_prefix()) : "null", weights.size_bytes));
  }

  // The file is read again under a lock: another process may have added to it meanwhile.
  Result<void> remember(const registry::InstalledModel& model, const std::string& text,
                        const std::string& source) const {
    TACIT_TRY(const auto lock,
              store::FolderLock::take(environment_.models(), store::FolderLock::Kind::exclusive,
                                      Deadline::after(kLockPatience)));
    TACIT_TRY(auto locks, registry::LockFile::read(lock_path_));
    const auto* old = locks.find(text);
    if (old != nullptr && old->weights == model.weights && old->name == model.name) return {};
    locks.put({text, source, model.name, model.weights, model.size_bytes});
    return locks.write(lock_path_);
  }

  const Environment& environment_;
  SourcePullOptions options_;
  Logger& log_;
  std::filesystem::path lock_path_;
  registry::RegistryOptions registry_options_;
  registry::SourceSettings settings_;
  std::optional<http::Client> client_;
};

}  // namespace

std::filesystem::path lock_path(const Environment& environment, const std::string& option) {
  if (!option.empty()) return option;
  std::error_code ignored;
  if (std::filesystem::exists("tacit.lock", ignored)) return "tacit.lock";
  return environment.home() / "tacit.lock";
}

Async<registry::InstalledModel> pull_from_source(const Environment& environment,
                                                 SourcePullOptions options, Logger& log) {
  SourcePull pull{environment, std::move(options), log};
  co_return co_await pull.run();
}

}  // namespace tacit::cli
