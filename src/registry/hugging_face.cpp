// Hugging Face's hub. Part of registry/pull_plan.hpp.
#include <algorithm>
#include <iterator>
#include <utility>

#include "core/text.hpp"
#include "registry/import_plan.hpp"
#include "registry/json.hpp"
#include "registry/name.hpp"
#include "registry/pull_plan.hpp"
#include "registry/url.hpp"

namespace tacit::registry {
namespace {

constexpr std::size_t kTreeBytesMax = 16 * 1024 * 1024;
constexpr std::size_t kFilesMax = 100'000;
constexpr int kPagesMax = 50;
constexpr std::size_t kNamesShown = 8;

bool is_commit(std::string_view text) {
  return text.size() == 40 && from_hex(text).has_value() && text == to_lower_ascii(text);
}

// A path as it stands in an address: everything but unreserved characters and '/' encoded.
std::string encoded_path(std::string_view path) {
  std::string out;
  for (const char c : path) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~' || c == '/';
    if (plain)
      out += c;
    else
      out.append("%").append(to_hex(as_bytes({&c, 1})));
  }
  return out;
}

// The address in `<https://...>; rel="next"` (RFC 8288), "" when there is none.
std::string next_page(std::string_view link) {
  while (true) {
    const auto open = link.find('<');
    const auto close = link.find('>');
    if (open == std::string_view::npos || close == std::string_view::npos || close < open)
      return {};
    const auto end = std::min(link.find(',', close), link.size());
    if (link.substr(close, end - close).find("rel=\"next\"") != std::string_view::npos) {
      return std::string{link.substr(open + 1, close - open - 1)};
    }
    link.remove_prefix(end);
  }
}

std::string listed(const std::vector<HubFile>& files) {
  std::string out;
  for (std::size_t i = 0; i < files.size() && i < kNamesShown; ++i) {
    out += (i == 0 ? "" : ", ") + printable(files[i].path).str();
  }
  if (files.size() > kNamesShown) out += ", ...";
  return out;
}

std::string license_of(const boost::json::object& info) {
  const auto* tags = info.if_contains("tags");
  if (tags == nullptr || !tags->is_array()) return {};
  for (const auto& tag : tags->get_array()) {
    const auto* text = tag.if_string();
    constexpr std::string_view prefix = "license:";
    if (text == nullptr || !std::string_view{*text}.starts_with(prefix)) continue;
    return printable(std::string_view{*text}.substr(prefix.size())).str();
  }
  return {};
}

}  // namespace

Result<std::vector<HubFile>> parse_hub_tree(std::string_view text) {
  TACIT_TRY(const auto document, parse_json(text, kTreeBytesMax));
  const auto* entries = document.if_array();
  if (entries == nullptr) return fail(Code::malformed, "the hub's listing is not a list");
  if (entries->size() > kFilesMax) {
    return fail(Error{Code::too_large, "too many files"}.with("limit", kFilesMax));
  }
  std::vector<HubFile> files;
  for (const auto& value : *entries) {
    const auto* entry = value.if_object();
    const auto* type = entry != nullptr ? entry->if_contains("type") : nullptr;
    const auto* path = entry != nullptr ? entry->if_contains("path") : nullptr;
    if (type == nullptr || path == nullptr || !type->is_string() || !path->is_string()) {
      return fail(Code::malformed, "an entry of the hub's listing has no type or no path");
    }
    if (type->get_string() != "file") continue;
    HubFile file;
    file.path = std::string_view{path->get_string()};
    const auto* lfs = entry->if_contains("lfs");
    const auto* large = lfs != nullptr ? lfs->if_object() : nullptr;
    const auto* size = (large != nullptr ? *large : *entry).if_contains("size");
    if (size == nullptr || !size->is_int64() || size->get_int64() < 0) {
      return fail(Code::malformed, "a file of the hub's listing has no sensible size");
    }
    file.size_bytes = static_cast<std::uint64_t>(size->get_int64());
    if (const auto* oid = large != nullptr ? large->if_contains("oid") : nullptr;
        oid != nullptr && oid->is_string()) {
      TACIT_TRY(file.sha256, store::Digest::parse(oid->get_string()));
    }
    files.push_back(std::move(file));
  }
  return files;
}

Result<HubFile> choose_hub_file(const std::vector<HubFile>& files, std::string_view pattern) {
  std::vector<HubFile> models;
  for (const auto& file : files) {
    const auto path = to_lower_ascii(file.path);
    // A projector is no model, and needs to be named to be meant.
    const bool projector = path.find("mmproj") != std::string::npos && file.path != pattern;
    if (path.ends_with(".gguf") && !projector) models.push_back(file);
  }
  std::vector<HubFile> found;
  std::ranges::copy_if(models, std::back_inserter(found),
                       [&](const HubFile& file) { return matches_pattern(pattern, file.path); });
  if (pattern.empty() && found.size() > 1) {
    std::erase_if(found, [](const HubFile& file) { return !matches_pattern("Q4_K_M", file.path); });
    if (found.empty()) found = models;
  }
  if (found.empty()) {
    return fail(Error{Code::not_found, "the repository has no such GGUF file"}
                    .about(PublicText{models.empty() ? "it has none" : "it has " + listed(models)})
                    .fix("Name one of them, as in hf:org/repo/file.gguf"));
  }
  if (split_parts(found.front().path) > 1) {
    return fail(Error{Code::unsupported, "the model is split over several files"}
                    .about(printable(found.front().path))
                    .fix("Fetch and join the parts (llama-gguf-split --merge), then tacit import"));
  }
  if (found.size() > 1) {
    return fail(Error{Code::invalid_argument, "several files fit"}
                    .about(PublicText{listed(found)})
                    .fix("Name one of them, as in hf:org/repo/file.gguf"));
  }
  return found.front();
}

Async<PullPlan> Planner::hugging_face_at(std::string endpoint, HuggingFaceReference reference,
                                         Deadline deadline) {
  const auto token = settings_.hf_token.empty() ? "" : "Bearer " + settings_.hf_token;
  const auto api = endpoint + "/api/models/" + reference.repository;
  TACIT_CO_TRY(auto answer, co_await get(api + "/revision/" + reference.revision,
                                         "application/json", token, "", deadline));
  if (answer.status != 200) {
    co_return fail(status_error(answer.status)
                       .about(printable(reference.repository + "@" + reference.revision + " at " +
                                        host_of(endpoint))));
  }
  TACIT_CO_TRY(const auto info, parse_json(as_text(answer.body), kTreeBytesMax));
  const auto* object = info.if_object();
  const auto* sha = object != nullptr ? object->if_contains("sha") : nullptr;
  if (sha == nullptr || !sha->is_string() || !is_commit(sha->get_string())) {
    co_return fail(Code::malformed, "the hub does not say which commit that is");
  }
  const std::string commit{std::string_view{sha->get_string()}};
  std::vector<HubFile> files;
  auto page = api + "/tree/" + commit + "?recursive=true";
  for (int pages = 0; !page.empty(); ++pages) {
    if (pages == kPagesMax) co_return fail(Code::too_large, "the hub's listing has no end");
    TACIT_CO_TRY(answer, co_await get(page, "application/json", token, "", deadline));
    if (answer.status != 200) co_return fail(status_error(answer.status));
    TACIT_CO_TRY(auto more, parse_hub_tree(as_text(answer.body)));
    files.insert(files.end(), std::make_move_iterator(more.begin()),
                 std::make_move_iterator(more.end()));
    auto next = next_page(answer.headers.find("link").value_or(""));
    // The token goes nowhere else.
    if (!next.empty() && origin_of(next) != origin_of(endpoint)) next.clear();
    page = std::move(next);
  }
  TACIT_CO_TRY(auto file, choose_hub_file(files, reference.file));
  PlannedFile weights{"weights", file.sha256, file.size_bytes, {}};
  for (const auto& mirror : settings_.hf_endpoints) {
    // The token belongs to the endpoint that it was made for: the first.
    const bool own = mirror == settings_.hf_endpoints.front();
    weights.mirrors.push_back(
        {mirror + "/" + reference.repository + "/resolve/" + commit + "/" + encoded_path(file.path),
         own ? token : ""});
  }
  PullPlan plan;
  plan.pinned = is_commit(reference.revision) && file.sha256.has_value();
  plan.source = reference_text(HuggingFaceReference{reference.repository, commit, file.path});
  plan.name = name_for_file(reference.repository, file.path.substr(file.path.rfind('/') + 1));
  plan.license = license_of(*object);
  plan.files.push_back(std::move(weights));
  co_return plan;
}

Async<PullPlan> Planner::hugging_face(HuggingFaceReference reference, Deadline deadline) {
  Error last{Code::unavailable, "there is no endpoint to ask"};
  for (const auto& endpoint : settings_.hf_endpoints) {
    auto plan = co_await hugging_face_at(endpoint, reference, deadline);
    if (plan || plan.error().code() != Code::unavailable) co_return plan;
    last = std::move(plan).error();
  }
  co_return fail(std::move(last));
}

}  // namespace tacit::registry
