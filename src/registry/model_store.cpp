#include "registry/model_store.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <set>
#include <utility>

#include "formats/scan.hpp"
#include "formats/template_scan.hpp"
#include "registry/catalogue.hpp"
#include "registry/local_file.hpp"
#include "registry/name.hpp"

namespace tacit::registry {
namespace {

using LockKind = store::FolderLock::Kind;

constexpr Seconds kLockPatience{30};
constexpr std::chrono::hours kLeftoverAge{24};

std::vector<store::Digest> blobs_of(const InstalledModel& model) {
  std::vector<store::Digest> out{model.weights};
  for (const auto& file : model.files) out.push_back(file.digest);
  return out;
}

using References = std::map<std::string, std::vector<std::string>>;  // digest to names

References references(const std::vector<InstalledModel>& models) {
  References out;
  for (const auto& model : models) {
    for (const auto& digest : blobs_of(model)) out[digest.hex()].push_back(model.name);
  }
  return out;
}

std::uint64_t size_of(const std::filesystem::path& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
}

// A GGUF that may be loaded and whose chat template stays inside of itself. `known`: to the
// catalogue, so that it has been looked at.
Result<void> is_fit(const formats::GgufFile& header, bool known) {
  TACIT_CHECK(may_be_loaded(header));
  const auto text = known ? std::nullopt : header.chat_template();
  if (!text) return {};
  for (const auto& finding : formats::scan_template(*text)) {
    if (!finding.dangerous) continue;
    return fail(
        Error{Code::malformed, "its chat template reaches out of the template"}
            .about(PublicText{finding.subject})
            .fix("Get the model from somebody else; `tacit verify` with the file says more"));
  }
  return {};
}

// When the file got this name: the kernel's time, which follows a rename.
WallTime arrived(const std::filesystem::path& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) return WallTime::max();
  return WallTime{std::chrono::seconds{info.st_ctim.tv_sec}};
}

}  // namespace

bool StoreCheck::good() const {
  return incomplete.empty() && std::ranges::all_of(blobs, &CheckedBlob::good);
}

ModelStore::ModelStore(std::filesystem::path root, std::vector<CatalogueEntry> catalogue,
                       std::unique_ptr<store::BlobStore> blobs, ManifestFolder manifests,
                       const Clock* clock, Logger& log)
    : root_{std::move(root)},
      catalogue_{std::move(catalogue)},
      blobs_{std::move(blobs)},
      manifests_{std::move(manifests)},
      verified_{root_},
      clock_{clock},
      log_{&log} {}

Result<ModelStore> ModelStore::open(const RegistryOptions& options, Logger& log) {
  TACIT_TRY(auto catalogue, parse_catalogue(options.catalogue_json.empty()
                                                ? builtin_catalogue()
                                                : std::string_view{options.catalogue_json}));
  TACIT_TRY(auto blobs, store::BlobStore::open(options.models_root));
  TACIT_TRY(auto manifests, ManifestFolder::open(options.models_root));
  return ModelStore{options.models_root,  std::move(catalogue), std::move(blobs),
                    std::move(manifests), options.clock,        log};
}

Result<store::FolderLock> ModelStore::lock_shared() const {
  return store::FolderLock::take(root_, LockKind::shared, Deadline::after(kLockPatience));
}

std::int64_t ModelStore::unix_now() const {
  const auto now = clock_ != nullptr ? clock_->wall() : SystemClock{}.wall();
  return std::chrono::duration_cast<Seconds>(now.time_since_epoch()).count();
}

const CatalogueEntry* ModelStore::entry_with(const store::Digest& digest) const {
  const auto found = std::ranges::find(catalogue_, digest.hex(), &CatalogueEntry::sha256);
  return found == catalogue_.end() ? nullptr : &*found;
}

Result<InstalledModel> ModelStore::find(std::string_view name) const {
  std::string canonical{name};
  for (const auto& entry : catalogue_) {
    if (std::ranges::find(entry.aliases, name) != entry.aliases.end()) canonical = entry.name;
  }
  auto model = manifests_.read(canonical);
  if (model || model.error().code() != Code::not_found) return model;
  std::vector<std::string> known;
  for (const auto& installed : manifests_.list(*log_)) known.push_back(installed.name);
  auto subject = printable(name).str();
  const auto near = near_names(name, known);
  for (std::size_t i = 0; i < near.size(); ++i) {
    subject += (i == 0 ? " (did you mean " : ", ") + near[i];
  }
  if (!near.empty()) subject += "?)";
  return fail(Error{Code::not_found, "no such model is installed"}
                  .about(PublicText{std::move(subject)})
                  .fix("`tacit list` shows what there is"));
}

Result<RemovedModel> ModelStore::remove(std::string_view name) {
  TACIT_TRY(const auto lock,
            store::FolderLock::take(root_, LockKind::exclusive, Deadline::after(kLockPatience)));
  TACIT_TRY(const auto model, find(name));
  TACIT_TRY(auto models, manifests_.all());
  std::erase_if(models, [&](const auto& other) { return other.name == model.name; });
  const auto needed = references(models);
  // The name first: a name without blobs is worse than blobs without a name.
  TACIT_CHECK(manifests_.remove(model.name));
  RemovedModel removed{.name = model.name};
  for (const auto& digest : blobs_of(model)) {
    if (needed.contains(digest.hex())) {
      ++removed.blobs_kept;
      continue;
    }
    const auto size = size_of(blobs_->path(digest));
    const auto gone = blobs_->remove(digest);
    if (!gone && gone.error().code() != Code::not_found) return fail(gone.error());
    if (gone) removed.bytes_freed += size;
    verified_.forget(digest);
  }
  log_->info("registry.removed",
             {{"model", PublicText{model.name}}, {"bytes_freed", removed.bytes_freed}});
  return removed;
}

Result<CollectedGarbage> ModelStore::collect_garbage(WallTime before, bool dry) {
  TACIT_TRY(const auto lock,
            store::FolderLock::take(root_, LockKind::exclusive, Deadline::after(kLockPatience)));
  TACIT_TRY(const auto models, manifests_.all());
  const auto needed = references(models);
  TACIT_TRY(const auto digests, blobs_->list());
  CollectedGarbage collected;
  for (const auto& digest : digests) {
    const auto path = blobs_->path(digest);
    if (needed.contains(digest.hex()) || arrived(path) >= before) continue;
    const auto size = size_of(path);
    if (!dry) {
      TACIT_CHECK(blobs_->remove(digest));
      verified_.forget(digest);
    }
    ++collected.blobs;
    collected.bytes_freed += size;
  }
  if (dry) return collected;
  const auto wall = clock_ != nullptr ? clock_->wall() : SystemClock{}.wall();
  const auto old = std::max<WallTime>(before, wall - kLeftoverAge);
  collected.leftovers = blobs_->remove_abandoned(old) + manifests_.remove_abandoned(old) +
                        verified_.remove_abandoned(old);
  return collected;
}

Result<void> ModelStore::may_take_name(const InstalledModel& model, bool replace) const {
  const auto other = manifests_.read(model.name);
  if (!other || replace || other->weights == model.weights) return {};
  return fail(Error{Code::already_exists, "the name stands for other weights already"}
                  .about(PublicText{model.name})
                  .fix("Choose another with --name, or say --replace"));
}

Result<InstalledModel> ModelStore::describe(const store::StagedBlob& staged,
                                            const ImportOptions& options) const {
  const auto header = formats::read_gguf(staged.fd());
  if (!header) {
    // Somebody may take a PyTorch file for a model.
    const auto path = "/proc/self/fd/" + std::to_string(staged.fd());
    const auto scan = formats::scan_file(path);
    if (scan && (scan->kind == "pickle" || scan->kind == "zip")) {
      return fail(Error{Code::unsupported, "a pickle is a program, and is never loaded here"}.fix(
          "Get the model as GGUF; `tacit verify` with the file says what it would do"));
    }
    return fail(header.error());
  }
  const auto* entry = entry_with(staged.digest());
  TACIT_CHECK(is_fit(*header, entry != nullptr));
  InstalledModel model{.name = options.name,
                       .title = {},
                       .license = options.license,
                       .size_bytes = staged.size_bytes(),
                       .weights = staged.digest(),
                       .pulled_unix_s = unix_now(),
                       .source = options.source,
                       .pinned_by = options.pinned_by};
  if (entry != nullptr) {
    if (model.name.empty()) model.name = entry->name;
    model.title = entry->title;
    model.license = entry->license;
    model.pinned_by = "catalogue";
  }
  if (model.name.empty()) model.name = options.proposed_name;
  const auto text_or = [&](const char* key, const std::string& otherwise) {
    const auto text = header->text(key).value_or("");
    return text.empty() ? otherwise : printable(text).str();
  };
  if (model.title.empty()) model.title = text_or("general.name", model.name);
  if (model.license.empty()) model.license = text_or("general.license", "unknown");
  if (!is_model_name(model.name)) {
    return fail(Error{Code::invalid_argument, "not a name that a model may have"}
                    .about(printable(model.name))
                    .fix("Say --name: lower-case letters, digits, '.', '_', '-', as family:tag"));
  }
  return model;
}

Result<void> ModelStore::install(const InstalledModel& model) { return manifests_.write(model); }

void ModelStore::remember_verified(const store::Digest& digest) const {
  if (const auto fd = blobs_->open_blob(digest)) verified_.remember(digest, fd->get());
}

Result<InstalledModel> ModelStore::admit(InstalledModel model, bool replace) {
  TACIT_CHECK(may_take_name(model, replace));
  TACIT_TRY(const auto lock, lock_shared());
  for (const auto& digest : blobs_of(model)) {
    if (!blobs_->contains(digest)) {
      return fail(Error{Code::not_found, "a file of the model is missing"}.about(
          PublicText{model.name + ", " + digest.with_prefix()}));
    }
  }
  TACIT_TRY(const auto fd, blobs_->open_blob(model.weights));
  auto header = formats::read_gguf(fd.get());
  if (!header) return fail(std::move(header).error().about(PublicText{model.name}));
  TACIT_CHECK(is_fit(*header, entry_with(model.weights) != nullptr));
  if (entry_with(model.weights) != nullptr) model.pinned_by = "catalogue";
  model.size_bytes = header->file_bytes;
  TACIT_CHECK(install(model));
  return model;
}

Result<ImportedModel> ModelStore::import_file(const std::filesystem::path& file,
                                              const ImportOptions& options,
                                              const OnBytes& on_bytes) {
  const auto about_file = [&](Error error) {
    return fail(error.subject().empty() ? std::move(error).about(PublicText{file.string()})
                                        : std::move(error));
  };
  const auto total = size_of(file);
  const store::StageOptions stage{.may_link = options.may_link,
                                  .on_hashed = [&](std::uint64_t done) {
                                    if (on_bytes) on_bytes(done, total);
                                  }};
  TACIT_TRY(auto staged, store::StagedBlob::from_file(*blobs_, file, stage));
  if (!options.sha256.empty() && staged.digest().hex() != options.sha256) {
    return fail(Error{Code::corrupt, "the file does not have the SHA-256 that it should"}.about(
        PublicText{file.string()}));
  }
  auto model = describe(staged, options);
  if (!model) return about_file(std::move(model).error());
  TACIT_CHECK(may_take_name(*model, options.replace));
  std::vector<store::StagedBlob> more;
  for (std::size_t i = 0; i < options.files.size(); ++i) {
    TACIT_TRY(auto extra,
              store::StagedBlob::from_file(*blobs_, options.files[i],
                                           {.may_link = options.may_link, .on_hashed = nullptr}));
    model->files.push_back({options.roles[i], extra.size_bytes(), extra.digest()});
    more.push_back(std::move(extra));
  }
  TACIT_TRY(const auto lock, lock_shared());
  TACIT_CHECK(staged.publish(*blobs_));
  for (auto& extra : more) TACIT_CHECK(extra.publish(*blobs_));
  TACIT_CHECK(install(*model));
  TACIT_TRY(const auto fd, blobs_->open_blob(staged.digest()));
  // Bytes that the store had already were not hashed just now.
  if (staged.placement() != store::Placement::already_there) {
    verified_.remember(staged.digest(), fd.get());
  }
  return ImportedModel{*std::move(model), staged.placement()};
}

}  // namespace tacit::registry
