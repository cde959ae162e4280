#include "registry/catalogue.hpp"

#include <algorithm>
#include <set>
#include <string>

#include "registry/json.hpp"
#include "registry/name.hpp"

namespace tacit::registry {
namespace json = boost::json;

namespace {

constexpr std::size_t kCatalogueBytesMax = 4 * 1024 * 1024;
constexpr std::size_t kEntriesMax = 10'000;
constexpr std::size_t kPerEntryMax = 64;  // aliases, sources
constexpr std::uint64_t kModelBytesMax = 1ull << 50;

// A path within a package: relative, no empty, "." or ".." parts.
bool is_package_path(std::string_view path) {
  while (true) {
    const auto slash = path.find('/');
    const auto part = path.substr(0, slash);
    if (part.empty() || part == "." || part == ".." || part.contains('\\')) return false;
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

// A project's name (PEP 508) or version, as they stand in a URL and a file name.
bool is_plain(std::string_view text) {
  return !text.starts_with('.') && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-' || c == '+' || c == '!';
  });
}

Result<Source> parse_source(const json::value& value) {
  TACIT_TRY(auto fields, Fields::of(value));
  Source source;
  TACIT_TRY(source.kind, fields.text("kind"));
  if (source.kind != "pypi") {
    return fail(Error{Code::unsupported, "unknown kind of source"}.about(printable(source.kind)));
  }
  TACIT_TRY(source.package, fields.text("package"));
  TACIT_TRY(source.version, fields.text("version"));
  TACIT_TRY(source.file, fields.text("file", 1024));
  TACIT_CHECK(fields.done());
  if (!is_plain(source.package) || !is_plain(source.version) || !is_package_path(source.file)) {
    return fail(Code::malformed, "a source's package, version or file is not well-formed");
  }
  return source;
}

Result<void> parse_lists(Fields& fields, CatalogueEntry& entry) {
  TACIT_TRY(const auto* aliases, fields.array("aliases"));
  TACIT_TRY(const auto* sources, fields.array("sources"));
  if (aliases->size() > kPerEntryMax || sources->size() > kPerEntryMax) {
    return fail(Error{Code::too_large, "too many aliases or sources"}.with("limit", kPerEntryMax));
  }
  for (const auto& alias : *aliases) {
    const auto* text = alias.if_string();
    if (text == nullptr || !is_model_name(*text)) {
      return fail(Code::malformed, "an alias is not a model name");
    }
    entry.aliases.emplace_back(text->data(), text->size());
  }
  if (sources->empty()) return fail(Code::malformed, "an entry has no source");
  for (const auto& source : *sources) {
    TACIT_TRY(auto parsed, parse_source(source));
    entry.sources.push_back(std::move(parsed));
  }
  return {};
}

Result<domain::Sampling> parse_sampling(Fields& entry) {
  domain::Sampling sampling;
  TACIT_TRY(const auto* value, entry.optional_object("sampling"));
  if (value == nullptr) return sampling;
  TACIT_TRY(auto fields, Fields::of(*value));
  const auto real = [&](std::string_view name, double low, double high,
                        std::optional<float>& out) -> Result<void> {
    TACIT_TRY(const auto number, fields.optional_real(name, low, high));
    if (number) out = static_cast<float>(*number);
    return {};
  };
  TACIT_CHECK(real("temperature", 0, 2, sampling.temperature));
  TACIT_CHECK(real("top_p", 0, 1, sampling.top_p));
  TACIT_CHECK(real("min_p", 0, 1, sampling.min_p));
  TACIT_CHECK(fields.done());
  return sampling;
}

Result<void> parse_entry(Fields& fields, CatalogueEntry& entry) {
  TACIT_TRY(entry.title, fields.text("title"));
  TACIT_TRY(entry.license, fields.text("license", 64));
  TACIT_TRY(entry.size_bytes, fields.number("size_bytes"));
  if (entry.size_bytes == 0 || entry.size_bytes > kModelBytesMax) {
    return fail(Code::malformed, "an entry's size is zero or far too large");
  }
  TACIT_TRY(entry.sha256, fields.text("sha256"));
  TACIT_TRY(const auto digest, store::Digest::parse(entry.sha256));
  if (digest.hex() != entry.sha256) return fail(Code::malformed, "an entry's digest has a prefix");
  TACIT_TRY(entry.sampling, parse_sampling(fields));
  TACIT_CHECK(parse_lists(fields, entry));
  return fields.done();
}

}  // namespace

Result<std::vector<CatalogueEntry>> parse_catalogue(std::string_view text) {
  TACIT_TRY(const auto document, parse_json(text, kCatalogueBytesMax));
  TACIT_TRY(auto top, Fields::of(document));
  TACIT_TRY(const auto schema, top.number("schema"));
  if (schema != 1) {
    return fail(Error{Code::unsupported, "unknown schema of the catalogue"}.with(
        "schema", static_cast<std::int64_t>(std::min<std::uint64_t>(schema, 1u << 30))));
  }
  TACIT_TRY(const auto* models, top.array("models"));
  TACIT_CHECK(top.done());
  if (models->size() > kEntriesMax) {
    return fail(Error{Code::too_large, "too many models"}.with("limit", kEntriesMax));
  }
  std::vector<CatalogueEntry> entries;
  std::set<std::string> names;
  for (const auto& model : *models) {
    TACIT_TRY(auto fields, Fields::of(model));
    CatalogueEntry entry;
    TACIT_TRY(entry.name, fields.text("name"));
    if (!is_model_name(entry.name)) {
      return fail(Error{Code::malformed, "not a model name"}.about(printable(entry.name)));
    }
    auto parsed = parse_entry(fields, entry);
    if (!parsed) {
      // What is wrong may already name a member; the entry is what a reader needs to find it.
      auto where = entry.name;
      if (!parsed.error().subject().empty()) where += ", " + parsed.error().subject();
      return fail(std::move(parsed).error().about(PublicText{std::move(where)}));
    }
    auto all = entry.aliases;
    all.push_back(entry.name);
    for (auto& name : all) {
      if (!names.insert(name).second) {
        return fail(Error{Code::malformed, "a name stands for two models"}.about(PublicText{name}));
      }
    }
    entries.push_back(std::move(entry));
  }
  return entries;
}

}  // namespace tacit::registry
