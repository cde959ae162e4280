#include "formats/scan_zip.hpp"

#include <zlib.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "formats/pickle_scan.hpp"

namespace tacit::formats {
namespace {

constexpr std::size_t kEndBytes = 22;
constexpr std::size_t kEntriesMax = 65'535;
constexpr std::size_t kUnpackedBytesMax = 64 * 1024 * 1024;  // of one entry
constexpr std::size_t kFindingsMax = 32;
constexpr std::uint32_t kCentral = 0x02014b50;
constexpr std::uint32_t kLocal = 0x04034b50;
constexpr std::uint16_t kEncrypted = 1;
constexpr std::uint16_t kStored = 0;
constexpr std::uint16_t kDeflated = 8;

struct Entry {
  std::string_view name;
  std::uint16_t flags = 0;
  std::uint16_t method = 0;
  std::uint32_t crc = 0;
  std::uint64_t packed = 0;
  std::uint64_t unpacked = 0;
  std::uint64_t local = 0;
};

// The fixed part, then the 64-bit values of the extra field where the others say "too large".
std::optional<Entry> read_central(ByteReader& in) {
  const auto signature = in.u32();
  if (!signature || *signature != kCentral || !in.take(4)) return std::nullopt;
  Entry entry;
  const auto flags = in.u16();
  const auto method = in.u16();
  static_cast<void>(in.take(4));
  const auto crc = in.u32();
  const auto packed = in.u32();
  const auto unpacked = in.u32();
  const auto name_size = in.u16();
  const auto extra_size = in.u16();
  const auto comment_size = in.u16();
  static_cast<void>(in.take(8));
  const auto local = in.u32();
  if (!local) return std::nullopt;
  const auto name = in.take(*name_size);
  const auto extra = in.take(*extra_size);
  if (!name || !extra || !in.take(*comment_size)) return std::nullopt;
  entry = {as_text(*name), *flags, *method, *crc, *packed, *unpacked, *local};
  ByteReader fields{*extra};
  while (fields.remaining() >= 4) {
    const auto id = *fields.u16();
    const auto body = fields.take(*fields.u16());
    if (!body) break;
    if (id != 1) continue;
    ByteReader large{*body};
    for (auto* value : {&entry.unpacked, &entry.packed, &entry.local}) {
      if (*value == 0xFFFFFFFF) *value = large.u64().value_or(*value);
    }
  }
  return entry;
}

std::optional<Bytes> inflated(BytesView packed, std::size_t size) {
  Bytes out(size);
  z_stream stream{};
  if (::inflateInit2(&stream, -MAX_WBITS) != Z_OK) return std::nullopt;
  // zlib reads through a pointer that is not const, and does not write.
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(packed.data()));
  stream.avail_in = static_cast<uInt>(packed.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  const int end = ::inflate(&stream, Z_FINISH);
  const bool whole = end == Z_STREAM_END && stream.avail_out == 0;
  ::inflateEnd(&stream);
  if (!whole) return std::nullopt;
  return out;
}

bool leaves_the_folder(std::string_view name) {
  if (name.starts_with('/') || name.contains('\\') || (name.size() > 1 && name[1] == ':'))
    return true;
  while (!name.empty()) {
    const auto slash = name.find('/');
    if (name.substr(0, slash) == "..") return true;
    name.remove_prefix(slash == std::string_view::npos ? name.size() : slash + 1);
  }
  return false;
}

class ZipScan {
 public:
  ZipScan(BytesView bytes, std::string_view name) : bytes_{bytes}, archive_{name} {}

  ScanReport run() {
    report_ = {ScanVerdict::clean, "zip", {}};
    const auto end = find_end();
    if (!end) return bad("a zip archive without an end", "");
    ByteReader in{bytes_.subspan(*end)};
    static_cast<void>(in.take(10));
    const auto count = *in.u16();
    const auto size = *in.u32();
    const auto offset = *in.u32();
    if (count == 0xFFFF || offset == 0xFFFFFFFF) {
      say(ScanVerdict::cannot_tell, "a zip archive of more than 4 GB or 65,534 files", "");
      return std::move(report_);
    }
    if (offset > *end || size != *end - offset) return bad("bytes that its directory hides", "");
    ByteReader directory{bytes_.subspan(offset, size)};
    for (std::size_t i = 0; i < std::min<std::size_t>(count, kEntriesMax); ++i) {
      const auto entry = read_central(directory);
      if (!entry) return bad("a zip directory that is not well-formed", "");
      look_at(*entry);
    }
    if (!directory.done()) return bad("a zip directory that is not well-formed", "");
    return std::move(report_);
  }

 private:
  void say(ScanVerdict verdict, Literal what, std::string_view subject) {
    std::string shown{archive_};
    if (!shown.empty() && !subject.empty()) shown += "/";
    for (const char c : subject.substr(0, 100)) shown += c >= ' ' && c <= '~' ? c : '?';
    if (report_.findings.size() < kFindingsMax)
      report_.findings.push_back({what, std::move(shown)});
    if (report_.verdict != ScanVerdict::dangerous) report_.verdict = verdict;
  }
  ScanReport bad(Literal what, std::string_view subject) {
    say(ScanVerdict::dangerous, what, subject);
    return std::move(report_);
  }

  std::optional<std::size_t> find_end() const {
    constexpr std::size_t comment_max = 65'535;
    if (bytes_.size() < kEndBytes) return std::nullopt;
    const auto last = bytes_.size() - kEndBytes;
    for (std::size_t back = 0; back <= std::min(last, comment_max); ++back) {
      if (as_text(bytes_.subspan(last - back)).starts_with("PK\x05\x06")) return last - back;
    }
    return std::nullopt;
  }

  // Where the entry's bytes are, if both headers tell the same story.
  std::optional<BytesView> contents(const Entry& entry) {
    if (entry.local > bytes_.size()) return std::nullopt;
    ByteReader in{bytes_.subspan(static_cast<std::size_t>(entry.local))};
    const auto signature = in.u32();
    if (!signature || *signature != kLocal || !in.take(2)) return std::nullopt;
    const auto flags = in.u16();
    const auto method = in.u16();
    static_cast<void>(in.take(16));
    const auto name_size = in.u16();
    const auto extra_size = in.u16();
    if (!extra_size) return std::nullopt;
    const auto name = in.take(*name_size);
    if (!name || !in.take(*extra_size)) return std::nullopt;
    if (as_text(*name) != entry.name || *flags != entry.flags || *method != entry.method) {
      return std::nullopt;
    }
    const auto packed = in.take(static_cast<std::size_t>(entry.packed));
    return packed ? std::optional{*packed} : std::nullopt;
  }

  void look_at(const Entry& entry) {
    if (leaves_the_folder(entry.name)) {
      say(ScanVerdict::dangerous, "a name that leaves the folder", entry.name);
    }
    const auto packed = contents(entry);
    if (!packed || (entry.flags & kEncrypted) != 0) {
      say(ScanVerdict::dangerous, "its two headers tell different stories, or it is encrypted",
          entry.name);
      return;
    }
    if (entry.name.ends_with('/')) return;
    if (entry.method == kStored && entry.packed == entry.unpacked) {
      judge(entry, *packed);
    } else if (entry.method == kDeflated && entry.unpacked <= kUnpackedBytesMax) {
      const auto bytes = inflated(*packed, static_cast<std::size_t>(entry.unpacked));
      if (!bytes) {
        say(ScanVerdict::dangerous, "it does not unpack to what it says", entry.name);
        return;
      }
      judge(entry, *bytes);
    } else {
      say(ScanVerdict::cannot_tell, "packed in a way that is not looked into", entry.name);
    }
  }

  void judge(const Entry& entry, BytesView bytes) {
    if (bytes.size() <= kUnpackedBytesMax) {
      const auto crc =
          ::crc32(0, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size()));
      if (crc != entry.crc) say(ScanVerdict::dangerous, "its checksum is wrong", entry.name);
    }
    const bool named_pickle = entry.name.ends_with(".pkl") || entry.name.ends_with(".pickle");
    if (starts_archive(bytes)) {
      say(ScanVerdict::cannot_tell, "an archive within the archive", entry.name);
      return;
    }
    const auto inner = scan_bytes(bytes, entry.name);
    const bool raw = inner.kind == "unknown" && !named_pickle;  // numbers of tensors, and texts
    if (raw || inner.verdict == ScanVerdict::clean) return;
    for (const auto& finding : inner.findings) say(inner.verdict, finding.what, finding.subject);
  }
  static bool starts_archive(BytesView bytes) { return as_text(bytes).starts_with("PK\x03\x04"); }

  BytesView bytes_;
  std::string_view archive_;
  ScanReport report_;
};

}  // namespace

ScanReport scan_zip(BytesView bytes, std::string_view name) { return ZipScan{bytes, name}.run(); }

}  // namespace tacit::formats
