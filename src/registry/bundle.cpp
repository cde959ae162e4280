#include "registry/bundle.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <utility>

#include "core/text.hpp"
#include "crypto/hash.hpp"
#include "registry/json.hpp"
#include "registry/name.hpp"
#include "registry/tar.hpp"
#include "store/output_file.hpp"

namespace tacit::registry {
namespace {

constexpr std::string_view kIndexName = "tacit-bundle.json";
constexpr std::string_view kBlobFolder = "blobs/sha256/";
constexpr std::size_t kIndexBytesMax = 16 * 1024 * 1024;
constexpr std::size_t kModelsMax = 1024;
constexpr std::size_t kBlockBytes = 1024 * 1024;

std::set<std::string> blobs_needed(const std::vector<InstalledModel>& models) {
  std::set<std::string> out;
  for (const auto& model : models) {
    out.insert(model.weights.hex());
    for (const auto& file : model.files) out.insert(file.digest.hex());
  }
  return out;
}

Result<void> parse_blobs(const boost::json::array& blobs, BundleIndex& index) {
  auto needed = blobs_needed(index.models);
  if (blobs.size() != needed.size()) {
    return fail(Code::malformed, "the bundle's models and its files do not match");
  }
  for (const auto& value : blobs) {
    TACIT_TRY(auto fields, Fields::of(value));
    TACIT_TRY(const auto text, fields.text("digest"));
    TACIT_TRY(const auto size, fields.number("size_bytes"));
    TACIT_CHECK(fields.done());
    TACIT_TRY(auto digest, store::Digest::parse(text));
    if (needed.erase(digest.hex()) == 0) {
      return fail(Code::malformed, "the bundle's models and its files do not match");
    }
    index.blobs.push_back({std::move(digest), size});
  }
  return {};
}

// A file read from its start, with the position in it.
class BundleReader {
 public:
  explicit BundleReader(const std::filesystem::path& path)
      : path_{path}, fd_{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)} {}

  Result<void> check() const {
    struct stat info{};
    if (!fd_ || ::fstat(fd_.get(), &info) != 0) {
      const bool missing = errno == ENOENT;
      return fail(Error{missing ? Code::not_found : Code::io, "cannot open the bundle"}
                      .with("errno", errno)
                      .about(PublicText{path_.string()}));
    }
    return {};
  }
  // Errors: malformed when the file ends too early.
  Result<void> read(std::span<std::byte> into) {
    while (!into.empty()) {
      const auto n = ::pread(fd_.get(), into.data(), into.size(), static_cast<off_t>(at_));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) {
        return fail(Error{Code::io, "cannot read the bundle"}
                        .with("errno", errno)
                        .about(PublicText{path_.string()}));
      }
      if (n == 0) {
        return fail(
            Error{Code::malformed, "the bundle is cut short"}.about(PublicText{path_.string()}));
      }
      at_ += static_cast<std::uint64_t>(n);
      into = into.subspan(static_cast<std::size_t>(n));
    }
    return {};
  }
  void skip(std::uint64_t bytes) { at_ += bytes; }
  Result<TarEntry> header() {
    TarBlock block{};
    TACIT_CHECK(read(block));
    return parse_tar_header(block);
  }

 private:
  const std::filesystem::path& path_;
  UniqueFd fd_;
  std::uint64_t at_ = 0;
};

Result<BundleIndex> read_index(BundleReader& source) {
  TACIT_CHECK(source.check());
  TACIT_TRY(const auto entry, source.header());
  if (entry.name != kIndexName) return fail(Code::malformed, "not a bundle of tacit");
  if (entry.size_bytes > kIndexBytesMax) return fail(Code::too_large, "the bundle's index");
  Bytes bytes(static_cast<std::size_t>(entry.size_bytes));
  TACIT_CHECK(source.read(bytes));
  source.skip(tar_padding(entry.size_bytes));
  return parse_bundle_index(as_text(bytes));
}

// Progress over all blobs.
class Meter {
 public:
  Meter(const ModelStore::OnBytes& on_bytes, const BundleIndex& index) : on_bytes_{on_bytes} {
    for (const auto& blob : index.blobs) total_ += blob.size_bytes;
  }
  void add(std::uint64_t bytes) {
    done_ += bytes;
    if (on_bytes_) on_bytes_(done_, total_);
  }

 private:
  const ModelStore::OnBytes& on_bytes_;
  std::uint64_t done_ = 0;
  std::uint64_t total_ = 0;
};

Result<void> import_blob(ModelStore& store, BundleReader& source, const BundleIndex::Blob& blob,
                         Meter& meter) {
  auto writer = store.blobs().resume(blob.digest, blob.size_bytes);
  if (!writer && writer.error().code() == Code::already_exists) {
    source.skip(blob.size_bytes);
    meter.add(blob.size_bytes);
    return {};
  }
  if (!writer) return fail(std::move(writer).error());
  const auto resumed_at = (*writer)->offset();
  source.skip(resumed_at);
  meter.add(resumed_at);
  Bytes block(kBlockBytes);
  while ((*writer)->offset() < blob.size_bytes) {
    const auto left = blob.size_bytes - (*writer)->offset();
    const auto part = std::span{block}.first(
        static_cast<std::size_t>(std::min<std::uint64_t>(left, block.size())));
    TACIT_CHECK(source.read(part));
    TACIT_CHECK((*writer)->append(part));
    meter.add(part.size());
  }
  TACIT_CHECK((*writer)->commit());
  store.remember_verified(blob.digest);
  return {};
}

Result<void> export_blob(ModelStore& store, const BundleIndex::Blob& blob,
                         store::OutputFile& output, Meter& meter) {
  TACIT_TRY(const auto fd, store.blobs().open_blob(blob.digest));
  TACIT_CHECK(
      output.append(tar_header(std::string{kBlobFolder} + blob.digest.hex(), blob.size_bytes)));
  crypto::Sha256 hash;
  Bytes block(kBlockBytes);
  std::uint64_t at = 0;
  while (at < blob.size_bytes) {
    const auto n = ::pread(
        fd.get(), block.data(),
        static_cast<std::size_t>(std::min<std::uint64_t>(blob.size_bytes - at, block.size())),
        static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(Error{Code::io, "cannot read the blob"}.with("errno", errno));
    if (n == 0) break;
    const auto part = BytesView{block}.first(static_cast<std::size_t>(n));
    hash.update(part);
    TACIT_CHECK(output.append(part));
    at += part.size();
    meter.add(part.size());
  }
  if (at != blob.size_bytes || to_hex(hash.finish()) != blob.digest.hex()) {
    return fail(Error{Code::corrupt, "a file in the store is not what it should be"}
                    .about(PublicText{blob.digest.with_prefix()})
                    .fix("`tacit verify` puts it into quarantine; pull the model again"));
  }
  const TarBlock zeros{};
  return output.append(BytesView{zeros}.first(tar_padding(blob.size_bytes)));
}

}  // namespace

std::string bundle_index_json(const BundleIndex& index) {
  boost::json::array models;
  for (const auto& model : index.models) models.emplace_back(manifest_json(model));
  boost::json::array blobs;
  for (const auto& blob : index.blobs) {
    blobs.push_back(boost::json::object{{"digest", blob.digest.with_prefix()},
                                        {"size_bytes", blob.size_bytes}});
  }
  const boost::json::object object{
      {"schema", 1}, {"models", std::move(models)}, {"blobs", std::move(blobs)}};
  return boost::json::serialize(object) + "\n";
}

Result<BundleIndex> parse_bundle_index(std::string_view json) {
  TACIT_TRY(const auto document, parse_json(json, kIndexBytesMax));
  TACIT_TRY(auto fields, Fields::of(document));
  TACIT_TRY(const auto schema, fields.number("schema"));
  if (schema != 1) {
    return fail(Error{Code::unsupported, "the bundle was written by another version"}.fix(
        "Use that version of tacit"));
  }
  TACIT_TRY(const auto* models, fields.array("models"));
  TACIT_TRY(const auto* blobs, fields.array("blobs"));
  TACIT_CHECK(fields.done());
  if (models->empty() || models->size() > kModelsMax) {
    return fail(Code::malformed, "the bundle has no model, or too many");
  }
  BundleIndex index;
  std::set<std::string> names;
  for (const auto& value : *models) {
    const auto* text = value.if_string();
    if (text == nullptr) return fail(Code::malformed, "a manifest in the bundle is not text");
    TACIT_TRY(auto model, parse_manifest(*text));
    if (!names.insert(model.name).second) {
      return fail(Code::malformed, "two models of the bundle have the same name");
    }
    index.models.push_back(std::move(model));
  }
  TACIT_CHECK(parse_blobs(*blobs, index));
  return index;
}

bool is_bundle(const std::filesystem::path& file) {
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(file, ignored)) return false;
  BundleReader source{file};
  if (!source.check()) return false;
  const auto entry = source.header();
  return entry && entry->name == kIndexName;
}

Result<std::uint64_t> export_bundle(ModelStore& store, const std::vector<std::string>& names,
                                    const std::filesystem::path& output,
                                    const ModelStore::OnBytes& on_bytes) {
  // Shared: nobody takes away a blob while it is being written out.
  TACIT_TRY(const auto lock, store.lock_shared());
  BundleIndex index;
  std::set<std::string> seen;
  for (const auto& name : names) {
    TACIT_TRY(auto model, store.find(name));
    if (seen.insert(model.name).second) index.models.push_back(std::move(model));
  }
  std::ranges::sort(index.models, {}, &InstalledModel::name);
  std::uint64_t total = 0;
  for (const auto& hex : blobs_needed(index.models)) {
    TACIT_TRY(auto digest, store::Digest::parse(hex));
    TACIT_TRY(const auto fd, store.blobs().open_blob(digest));
    struct stat info{};
    if (::fstat(fd.get(), &info) != 0) {
      return fail(Error{Code::io, "cannot read the blob"}.with("errno", errno));
    }
    const auto size = static_cast<std::uint64_t>(info.st_size);
    total += size + tar_padding(size) + kTarBlockBytes;
    index.blobs.push_back({std::move(digest), size});
  }
  const auto json = bundle_index_json(index);
  total += 3 * kTarBlockBytes + json.size() + tar_padding(json.size());
  TACIT_TRY(auto file, store::OutputFile::create(output, total));
  const TarBlock zeros{};
  TACIT_CHECK(file.append(tar_header(kIndexName, json.size())));
  TACIT_CHECK(file.append(as_bytes(json)));
  TACIT_CHECK(file.append(BytesView{zeros}.first(tar_padding(json.size()))));
  Meter meter{on_bytes, index};
  for (const auto& blob : index.blobs) TACIT_CHECK(export_blob(store, blob, file, meter));
  TACIT_CHECK(file.append(zeros));  // two empty blocks end an archive
  TACIT_CHECK(file.append(zeros));
  TACIT_CHECK(file.commit());
  return file.size_bytes();
}

Result<std::vector<InstalledModel>> import_bundle(ModelStore& store,
                                                  const std::filesystem::path& file, bool replace,
                                                  const ModelStore::OnBytes& on_bytes) {
  BundleReader source{file};
  TACIT_TRY(auto index, read_index(source));
  Meter meter{on_bytes, index};
  for (const auto& blob : index.blobs) {
    TACIT_TRY(const auto entry, source.header());
    if (entry.name != std::string{kBlobFolder} + blob.digest.hex() ||
        entry.size_bytes != blob.size_bytes) {
      return fail(Error{Code::malformed, "the bundle's files are not those of its index"}.about(
          printable(entry.name)));
    }
    TACIT_CHECK(import_blob(store, source, blob, meter));
    source.skip(tar_padding(blob.size_bytes));
  }
  std::vector<InstalledModel> installed;
  for (auto& model : index.models) {
    model.pinned_by = "bundle";
    TACIT_TRY(auto done, store.admit(std::move(model), replace));
    installed.push_back(std::move(done));
  }
  return installed;
}

}  // namespace tacit::registry
