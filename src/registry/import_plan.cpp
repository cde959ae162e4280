#include "registry/import_plan.hpp"

#include <algorithm>
#include <system_error>
#include <utility>

#include "core/text.hpp"
#include "registry/name.hpp"
#include "registry/oci_manifest.hpp"
#include "store/file.hpp"

namespace tacit::registry {
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kFilesMax = 10'000;
constexpr int kDepthMax = 8;

// Lower case, with everything that a name may not have as '-'.
std::string name_part(std::string_view text) {
  std::string out;
  for (const char c : to_lower_ascii(text)) {
    const bool good = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_';
    if (good)
      out += c;
    else if (!out.empty() && out.back() != '-')
      out += '-';
  }
  while (!out.empty() && (out.back() == '-' || out.back() == '.')) out.pop_back();
  const auto first = out.find_first_not_of("-._");
  return first == std::string::npos ? std::string{} : out.substr(first);
}

bool is_gguf(const fs::path& path) { return to_lower_ascii(path.extension().string()) == ".gguf"; }

// Every regular file below `root` that `wanted` accepts, in the order of names.
Result<std::vector<fs::path>> files_below(const fs::path& root, bool (*wanted)(const fs::path&)) {
  std::vector<fs::path> files;
  std::error_code error;
  fs::recursive_directory_iterator it{root, fs::directory_options::skip_permission_denied, error};
  for (; !error && it != fs::recursive_directory_iterator{}; it.increment(error)) {
    if (it.depth() >= kDepthMax) it.disable_recursion_pending();
    std::error_code ignored;
    if (!wanted(it->path()) || !it->is_regular_file(ignored)) continue;
    if (files.size() == kFilesMax) {
      return fail(Error{Code::too_large, "too many files"}
                      .with("limit", kFilesMax)
                      .about(PublicText{root.string()}));
    }
    files.push_back(it->path());
  }
  if (error) {
    return fail(Error{Code::io, "cannot read the folder"}
                    .with("errno", error.value())
                    .about(PublicText{root.string()}));
  }
  std::ranges::sort(files);
  return files;
}

// "llama3:8b" for registry.ollama.ai/library/llama3/8b, "acme/tiny:q4" for others.
std::string ollama_name(const fs::path& relative) {
  std::vector<std::string> parts;
  for (const auto& part : relative) parts.push_back(part.string());
  if (parts.size() < 3) return {};
  const auto tag = name_part(parts[parts.size() - 1]);
  const auto model = name_part(parts[parts.size() - 2]);
  const auto owner = name_part(parts[parts.size() - 3]);
  const auto name = (owner == "library" ? model : owner + "/" + model) + ":" + tag;
  return is_model_name(name) ? name : std::string{};
}

Result<ImportItem> ollama_item(const fs::path& root, const fs::path& file) {
  TACIT_TRY(const auto bytes, store::read_file(file, kOciManifestBytesMax));
  TACIT_TRY(const auto manifest, parse_oci_manifest(as_text(bytes)));
  const auto relative = file.lexically_relative(root / "manifests");
  ImportItem item;
  auto& options = item.options;
  options.proposed_name = ollama_name(relative);
  options.source = "ollama-cache:" + printable(relative.string()).str();
  options.pinned_by = "source";
  for (const auto& layer : manifest.layers) {
    const auto role = layer_role(layer);
    if (role.empty()) continue;
    if (role == "adapter") return fail(Code::unsupported, "it has an adapter");
    const auto blob = root / "blobs" / ("sha256-" + layer.digest.hex());
    if (role != "weights") {
      options.files.push_back(blob);
      options.roles.emplace_back(role);
      continue;
    }
    if (!item.file.empty()) return fail(Code::unsupported, "it has weights in several files");
    item.file = blob;
    options.sha256 = layer.digest.hex();
  }
  if (item.file.empty()) return fail(Code::unsupported, "it has no GGUF weights");
  return item;
}

Result<ImportPlan> plan_ollama(const fs::path& root) {
  TACIT_TRY(const auto files, files_below(root / "manifests", [](const fs::path& path) {
              return !path.filename().string().starts_with('.');
            }));
  ImportPlan plan;
  for (const auto& file : files) {
    auto item = ollama_item(root, file);
    if (item)
      plan.items.push_back(*std::move(item));
    else
      plan.skipped.push_back(file.lexically_relative(root).string() + ": " +
                             item.error().message());
  }
  return plan;
}

// "acme/tiny" of "models--acme--tiny".
std::string repository_of(std::string name) {
  name.erase(0, std::string_view{"models--"}.size());
  if (const auto dashes = name.find("--"); dashes != std::string::npos) {
    name.replace(dashes, 2, "/");
  }
  return name;
}

// Parts of a split model say so in their names: "-00001-of-00003.gguf".
bool is_split_name(std::string_view stem) {
  const auto of = stem.rfind("-of-");
  return of != std::string_view::npos && stem.size() == of + 9 && parse_u64(stem.substr(of + 4)) &&
         of >= 6 && parse_u64(stem.substr(of - 5, 5));
}

void add_file(ImportPlan& plan, const fs::path& file, const std::string& repository,
              std::string source) {
  if (is_split_name(file.stem().string())) {
    plan.skipped.push_back(file.string() +
                           ": one part of a model that is split over several files");
    return;
  }
  ImportItem item{.file = file, .options = {}};
  item.options.proposed_name = name_for_file(repository, file.filename().string());
  item.options.source = std::move(source);
  plan.items.push_back(std::move(item));
}

Result<ImportPlan> plan_hugging_face(const fs::path& root) {
  ImportPlan plan;
  TACIT_TRY(const auto files, files_below(root, is_gguf));
  for (const auto& file : files) {
    // models--acme--tiny/snapshots/<commit>/<path>, a link to ../../blobs/<digest>.
    const auto relative = file.lexically_relative(root);
    auto part = relative.begin();
    const auto folder = part == relative.end() ? std::string{} : part->string();
    if (!folder.starts_with("models--")) continue;
    const auto kind = ++part == relative.end() ? std::string{} : part->string();
    if (kind != "snapshots" || ++part == relative.end()) continue;
    const auto commit = part->string();
    const auto within = relative.lexically_relative(fs::path{folder} / kind / commit);
    const auto repository = repository_of(folder);
    const auto before = plan.items.size();
    add_file(plan, file, repository,
             printable("hf:" + repository + "@" + commit + "/" + within.string()).str());
    if (plan.items.size() == before) continue;
    // Files in Git LFS are stored under their SHA-256, which was the server's promise.
    std::error_code ignored;
    const auto target = fs::read_symlink(file, ignored);
    if (const auto digest = store::Digest::parse(target.filename().string())) {
      plan.items.back().options.sha256 = digest->hex();
      plan.items.back().options.pinned_by = "source";
    }
  }
  return plan;
}

bool has_hugging_face_models(const fs::path& root) {
  std::error_code error;
  fs::directory_iterator it{root, error};
  for (; !error && it != fs::directory_iterator{}; it.increment(error)) {
    if (it->path().filename().string().starts_with("models--")) return true;
  }
  return false;
}

}  // namespace

std::string name_for_file(std::string_view repository, std::string_view file) {
  auto stem = name_part(fs::path{file}.stem().string());
  if (repository.empty()) return is_model_name(stem) ? stem : std::string{};
  const auto slash = repository.find('/');
  const bool owned = slash != std::string_view::npos;
  const auto owner = owned ? name_part(repository.substr(0, slash)) : std::string{};
  const auto model = name_part(owned ? repository.substr(slash + 1) : repository);
  // The file repeats the model's name; what is left says which of its files it is.
  auto base = model;
  if (base.ends_with("-gguf")) base.erase(base.size() - 5);
  if (stem.starts_with(base) && stem.size() > base.size()) {
    if (auto rest = name_part(std::string_view{stem}.substr(base.size())); !rest.empty()) {
      stem = std::move(rest);
    }
  }
  const auto name = (owner.empty() ? model : owner + "/" + model) + ":" + stem;
  return is_model_name(name) ? name : std::string{};
}

Result<fs::path> locate_import(const std::string& source, const Getenv& variable) {
  std::vector<fs::path> candidates;
  const auto home = variable("HOME");
  if (source == "ollama") {
    if (const auto models = variable("OLLAMA_MODELS")) candidates.emplace_back(*models);
    if (home) candidates.push_back(fs::path{*home} / ".ollama/models");
    candidates.emplace_back("/usr/share/ollama/.ollama/models");
    candidates.emplace_back("/var/lib/ollama/models");
  } else if (source == "huggingface" || source == "hf") {
    if (const auto hub = variable("HF_HUB_CACHE")) candidates.emplace_back(*hub);
    if (const auto all = variable("HF_HOME")) candidates.push_back(fs::path{*all} / "hub");
    if (const auto cache = variable("XDG_CACHE_HOME")) {
      candidates.push_back(fs::path{*cache} / "huggingface/hub");
    }
    if (home) candidates.push_back(fs::path{*home} / ".cache/huggingface/hub");
  } else {
    candidates.emplace_back(source);
  }
  std::error_code ignored;
  for (auto& candidate : candidates) {
    if (fs::exists(candidate, ignored)) return std::move(candidate);
  }
  return fail(Error{Code::not_found, "nothing to import is there"}
                  .about(printable(candidates.empty() ? source : candidates.front().string()))
                  .fix("Name a file or folder; `tacit pull` gets models from the network"));
}

Result<ImportPlan> plan_import(const fs::path& path) {
  std::error_code ignored;
  ImportPlan plan;
  if (!fs::is_directory(path, ignored)) {
    ImportItem item{.file = path, .options = {}};
    item.options.proposed_name = name_for_file("", path.filename().string());
    item.options.source = "file:" + path.filename().string();
    plan.items.push_back(std::move(item));
    return plan;
  }
  if (fs::is_directory(path / "manifests", ignored) && fs::is_directory(path / "blobs", ignored)) {
    TACIT_TRY(plan, plan_ollama(path));
  } else if (has_hugging_face_models(path)) {
    TACIT_TRY(plan, plan_hugging_face(path));
  } else {
    TACIT_TRY(const auto files, files_below(path, is_gguf));
    for (const auto& file : files) add_file(plan, file, "", "file:" + file.filename().string());
  }
  if (plan.items.empty() && plan.skipped.empty()) {
    return fail(
        Error{Code::not_found, "the folder has no GGUF file"}.about(PublicText{path.string()}));
  }
  return plan;
}

}  // namespace tacit::registry
