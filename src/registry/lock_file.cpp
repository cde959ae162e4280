#include "registry/lock_file.hpp"

#include <algorithm>
#include <utility>

#include "registry/json.hpp"
#include "registry/name.hpp"
#include "registry/reference.hpp"
#include "store/file.hpp"

namespace tacit::registry {
namespace {

constexpr std::size_t kBytesMax = 8 * 1024 * 1024;
constexpr std::size_t kEntriesMax = 10'000;
constexpr std::size_t kReferenceBytesMax = 2048;

Result<LockEntry> parse_entry(const boost::json::value& value) {
  TACIT_TRY(auto fields, Fields::of(value));
  TACIT_TRY(auto reference, fields.text("reference", kReferenceBytesMax));
  TACIT_TRY(auto source, fields.text("source", kReferenceBytesMax));
  TACIT_TRY(auto name, fields.text("name"));
  TACIT_TRY(const auto weights, fields.text("weights"));
  TACIT_TRY(const auto size, fields.number("size_bytes"));
  TACIT_CHECK(fields.done());
  TACIT_TRY(auto digest, store::Digest::parse(weights));
  TACIT_CHECK(parse_reference(reference));
  TACIT_CHECK(parse_reference(source));
  if (!is_model_name(name)) {
    return fail(Error{Code::malformed, "not a model name"}.about(printable(name)));
  }
  return LockEntry{std::move(reference), std::move(source), std::move(name), std::move(digest),
                   size};
}

}  // namespace

Result<LockFile> LockFile::parse(std::string_view text) {
  TACIT_TRY(const auto document, parse_json(text, kBytesMax));
  TACIT_TRY(auto fields, Fields::of(document));
  TACIT_TRY(const auto schema, fields.number("schema"));
  if (schema != 1) {
    return fail(Error{Code::unsupported, "the lock file was written by another version"}.fix(
        "Use that version of tacit"));
  }
  TACIT_TRY(const auto* entries, fields.array("models"));
  TACIT_CHECK(fields.done());
  if (entries->size() > kEntriesMax) {
    return fail(Error{Code::too_large, "too many entries"}.with("limit", kEntriesMax));
  }
  LockFile file;
  for (const auto& value : *entries) {
    TACIT_TRY(auto entry, parse_entry(value));
    if (file.find(entry.reference) != nullptr) {
      return fail(
          Error{Code::malformed, "a reference is there twice"}.about(printable(entry.reference)));
    }
    file.put(std::move(entry));
  }
  return file;
}

Result<LockFile> LockFile::read(const std::filesystem::path& path) {
  const auto bytes = store::read_file(path, kBytesMax);
  if (!bytes && bytes.error().code() == Code::not_found) return LockFile{};
  if (!bytes) return fail(bytes.error());
  auto file = parse(as_text(*bytes));
  if (file) return file;
  auto where = path.string();
  if (!file.error().subject().empty()) where += ", " + file.error().subject();
  return fail(std::move(file).error().about(PublicText{std::move(where)}));
}

std::string LockFile::text() const {
  std::string out = "{\"schema\":1,\"models\":[";
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const auto& entry = entries_[i];
    const boost::json::object object{{"reference", entry.reference},
                                     {"source", entry.source},
                                     {"name", entry.name},
                                     {"weights", entry.weights.with_prefix()},
                                     {"size_bytes", entry.size_bytes}};
    out += (i == 0 ? "\n" : ",\n") + boost::json::serialize(object);
  }
  return out + "\n]}\n";
}

const LockEntry* LockFile::find(std::string_view reference) const noexcept {
  const auto found = std::ranges::find(entries_, reference, &LockEntry::reference);
  return found == entries_.end() ? nullptr : &*found;
}

void LockFile::put(LockEntry entry) {
  std::erase_if(entries_, [&](const auto& old) { return old.reference == entry.reference; });
  const auto after = std::ranges::upper_bound(entries_, entry.reference, {}, &LockEntry::reference);
  entries_.insert(after, std::move(entry));
}

Result<void> LockFile::write(const std::filesystem::path& path) const {
  return store::write_file_atomically(path, as_bytes(text()));
}

}  // namespace tacit::registry
