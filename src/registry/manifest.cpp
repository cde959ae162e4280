#include "registry/manifest.hpp"

#include <algorithm>
#include <limits>
#include <system_error>

#include "registry/json.hpp"
#include "registry/name.hpp"
#include "store/file.hpp"

namespace tacit::registry {
namespace {

constexpr std::size_t kManifestBytesMax = 64 * 1024;

}  // namespace

std::string manifest_json(const InstalledModel& model) {
  const boost::json::object object{{"schema", 1},
                                   {"name", model.name},
                                   {"title", model.title},
                                   {"license", model.license},
                                   {"size_bytes", model.size_bytes},
                                   {"weights", model.weights.with_prefix()},
                                   {"pulled_unix_s", model.pulled_unix_s}};
  return boost::json::serialize(object) + "\n";
}

Result<InstalledModel> parse_manifest(std::string_view text) {
  TACIT_TRY(const auto document, parse_json(text, kManifestBytesMax));
  TACIT_TRY(auto fields, Fields::of(document));
  TACIT_TRY(const auto schema, fields.number("schema"));
  if (schema != 1) {
    return fail(Error{Code::unsupported, "the manifest was written by another version"}.fix(
        "Use that version of tacit, or pull the model again"));
  }
  TACIT_TRY(auto name, fields.text("name"));
  TACIT_TRY(auto title, fields.text("title"));
  TACIT_TRY(auto license, fields.text("license"));
  TACIT_TRY(const auto size_bytes, fields.number("size_bytes"));
  TACIT_TRY(const auto weights, fields.text("weights"));
  TACIT_TRY(const auto pulled, fields.number("pulled_unix_s"));
  TACIT_CHECK(fields.done());
  TACIT_TRY(auto digest, store::Digest::parse(weights));
  if (!is_model_name(name) ||
      pulled > static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max())) {
    return fail(Code::malformed, "the manifest's name or date makes no sense");
  }
  return InstalledModel{std::move(name), std::move(title),  std::move(license),
                        size_bytes,      std::move(digest), static_cast<std::int64_t>(pulled)};
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
