#include "registry/manifest.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <system_error>

#include "registry/json.hpp"
#include "registry/name.hpp"
#include "store/file.hpp"

namespace tacit::registry {
namespace {

constexpr std::size_t kSourceBytesMax = 4096;
constexpr std::size_t kFilesMax = 64;

}  // namespace

std::string manifest_json(const InstalledModel& model) {
  boost::json::object object{{"schema", 2},
                             {"name", model.name},
                             {"title", model.title},
                             {"license", model.license},
                             {"size_bytes", model.size_bytes},
                             {"weights", model.weights.with_prefix()},
                             {"pulled_unix_s", model.pulled_unix_s},
                             {"source", model.source.empty() ? "unknown" : model.source},
                             {"pinned_by", model.pinned_by.empty() ? "unknown" : model.pinned_by}};
  boost::json::array files;
  for (const auto& file : model.files) {
    files.push_back(boost::json::object{{"role", file.role},
                                        {"size_bytes", file.size_bytes},
                                        {"digest", file.digest.with_prefix()}});
  }
  object["files"] = std::move(files);
  return boost::json::serialize(object) + "\n";
}

namespace {

Result<ModelFile> parse_file(const boost::json::value& value) {
  TACIT_TRY(auto fields, Fields::of(value));
  TACIT_TRY(auto role, fields.text("role", 64));
  TACIT_TRY(const auto size_bytes, fields.number("size_bytes"));
  TACIT_TRY(const auto digest, fields.text("digest"));
  TACIT_CHECK(fields.done());
  TACIT_TRY(auto parsed, store::Digest::parse(digest));
  return ModelFile{std::move(role), size_bytes, std::move(parsed)};
}

// What schema 2 added.
Result<void> parse_origin(Fields& fields, InstalledModel& model) {
  TACIT_TRY(model.source, fields.text("source", kSourceBytesMax));
  TACIT_TRY(model.pinned_by, fields.text("pinned_by", 64));
  TACIT_TRY(const auto* files, fields.array("files"));
  if (files->size() > kFilesMax) {
    return fail(Error{Code::too_large, "too many files"}.with("limit", kFilesMax));
  }
  for (const auto& value : *files) {
    TACIT_TRY(auto file, parse_file(value));
    model.files.push_back(std::move(file));
  }
  return {};
}

}  // namespace

Result<InstalledModel> parse_manifest(std::string_view text) {
  TACIT_TRY(const auto document, parse_json(text, kManifestBytesMax));
  TACIT_TRY(auto fields, Fields::of(document));
  TACIT_TRY(const auto schema, fields.number("schema"));
  if (schema != 1 && schema != 2) {
    return fail(Error{Code::unsupported, "the manifest was written by another version"}.fix(
        "Use that version of tacit, or pull the model again"));
  }
  TACIT_TRY(auto name, fields.text("name"));
  TACIT_TRY(auto title, fields.text("title"));
  TACIT_TRY(auto license, fields.text("license"));
  TACIT_TRY(const auto size_bytes, fields.number("size_bytes"));
  TACIT_TRY(const auto weights, fields.text("weights"));
  TACIT_TRY(const auto pulled, fields.number("pulled_unix_s"));
  TACIT_TRY(auto digest, store::Digest::parse(weights));
  InstalledModel model{std::move(name), std::move(title),  std::move(license),
                       size_bytes,      std::move(digest), static_cast<std::int64_t>(pulled)};
  if (schema == 2) TACIT_CHECK(parse_origin(fields, model));
  TACIT_CHECK(fields.done());
  if (!is_model_name(model.name) ||
      pulled > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    return fail(Code::malformed, "the manifest's name or date makes no sense");
  }
  return model;
}

Result<ManifestFolder> ManifestFolder::open(const std::filesystem::path& models_root) {
  auto folder = models_root / "manifests";
  TACIT_CHECK(store::make_folders(folder));
  return ManifestFolder{std::move(folder)};
}

std::filesystem::path ManifestFolder::path_of(std::string_view name) const {
  return folder_ / (file_name_of(name) + ".json");
}

Result<void> ManifestFolder::write(const InstalledModel& model) const {
  return store::write_file_atomically(path_of(model.name), as_bytes(manifest_json(model)));
}

Result<InstalledModel> ManifestFolder::read(std::string_view name) const {
  if (!is_model_name(name)) {
    return fail(Error{Code::not_found, "no such model"}.about(printable(name)));
  }
  const auto path = path_of(name);
  TACIT_TRY(const auto bytes, store::read_file(path, kManifestBytesMax));
  auto model = parse_manifest(as_text(bytes));
  if (!model) return fail(std::move(model).error().about(PublicText{path.string()}));
  if (model->name != name) {
    return fail(Error{Code::malformed, "the manifest is about another model"}.about(
        PublicText{path.string()}));
  }
  return model;
}

Result<void> ManifestFolder::remove(std::string_view name) const {
  if (!is_model_name(name)) {
    return fail(Error{Code::not_found, "no such model"}.about(printable(name)));
  }
  const auto path = path_of(name);
  if (::unlink(path.c_str()) != 0) {
    const int number = errno;
    if (number == ENOENT) {
      return fail(Error{Code::not_found, "no such model"}.about(printable(name)));
    }
    const bool denied = number == EACCES || number == EPERM || number == EROFS;
    return fail(Error{denied ? Code::permission : Code::io, "cannot remove the manifest"}
                    .with("errno", number)
                    .about(PublicText{path.string()})
                    .fix("Check who owns the store, and that its disk is not read-only"));
  }
  return store::sync_folder(folder_);
}

Result<std::vector<InstalledModel>> ManifestFolder::all() const {
  std::vector<InstalledModel> models;
  std::error_code error;
  std::filesystem::directory_iterator entries{folder_, error};
  for (; !error && entries != std::filesystem::directory_iterator{}; entries.increment(error)) {
    const auto& path = entries->path();
    if (path.extension() != ".json" || path.filename().string().starts_with('.')) continue;
    const auto bytes = store::read_file(path, kManifestBytesMax);
    auto model = bytes ? parse_manifest(as_text(*bytes)) : fail(bytes.error());
    if (!model || path_of(model->name) != path) {
      return fail(
          Error{Code::malformed, "a manifest cannot be read, so that nobody knows what it needs"}
              .about(PublicText{path.string()})
              .fix("Use the version of tacit that wrote it, or delete that file"));
    }
    models.push_back(*std::move(model));
  }
  if (error) {
    return fail(Error{Code::io, "cannot read the folder"}
                    .with("errno", error.value())
                    .about(PublicText{folder_.string()}));
  }
  std::ranges::sort(models, {}, &InstalledModel::name);
  return models;
}

std::size_t ManifestFolder::remove_abandoned(WallTime before) const {
  return store::remove_temporaries(folder_, before);
}

std::vector<InstalledModel> ManifestFolder::list(Logger& log) const {
  std::vector<InstalledModel> models;
  std::error_code error;
  std::filesystem::directory_iterator entries{folder_, error};
  for (; !error && entries != std::filesystem::directory_iterator{}; entries.increment(error)) {
    const auto& path = entries->path();
    if (path.extension() != ".json" || path.filename().string().starts_with('.')) continue;
    const auto bytes = store::read_file(path, kManifestBytesMax);
    auto model = bytes ? parse_manifest(as_text(*bytes)) : fail(bytes.error());
    if (model && path_of(model->name) == path) {
      models.push_back(*std::move(model));
      continue;
    }
    log.warning("registry.manifest_ignored",
                {{"path", PublicText{path.string()}},
                 {"code", model ? Code::malformed : model.error().code()}});
  }
  std::ranges::sort(models, {}, &InstalledModel::name);
  return models;
}

}  // namespace tacit::registry
