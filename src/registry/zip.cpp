#include "registry/zip.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <utility>

#include <zlib.h>

#include "registry/name.hpp"

namespace tacit::registry {
namespace {

constexpr std::uint32_t kLocalSignature = 0x04034b50;
constexpr std::uint32_t kCentralSignature = 0x02014b50;
constexpr std::uint32_t kEndSignature = 0x06054b50;
constexpr std::uint32_t kEnd64Signature = 0x06064b50;
constexpr std::uint32_t kEnd64LocatorSignature = 0x07064b50;
constexpr std::uint32_t kArchiveExtraSignature = 0x08064b50;
constexpr std::size_t kEndBytes = 22;
constexpr std::size_t kEnd64Bytes = 56;
constexpr std::size_t kEnd64LocatorBytes = 20;
constexpr std::size_t kCentralHeaderBytes = 46;
constexpr std::uint16_t kZip64Extra = 0x0001;
constexpr std::uint32_t kIn64 = 0xFFFFFFFF;  // "see the ZIP64 field"
constexpr std::uint16_t kIn64Short = 0xFFFF;
constexpr std::uint16_t kEncryptedFlags = 1u << 0 | 1u << 6 | 1u << 13;
constexpr std::uint16_t kSizesLaterFlag = 1u << 3;

std::unexpected<Error> malformed(Literal what) { return fail(Code::malformed, what); }

// Reads one of the 64-bit numbers of a ZIP64 extra field when the short field says so.
Result<void> widen(std::uint64_t& value, ByteReader& extra64) {
  if (value != kIn64) return {};
  TACIT_TRY(value, extra64.u64());
  return {};
}

// The contents of the ZIP64 field among extra fields; empty when there is none.
Result<BytesView> zip64_field(BytesView extra) {
  ByteReader in{extra};
  while (in.remaining() >= 4) {
    TACIT_TRY(const auto id, in.u16());
    TACIT_TRY(const auto size, in.u16());
    TACIT_TRY(const auto content, in.take(size));
    if (id == kZip64Extra) return content;
  }
  return BytesView{};  // fewer than four bytes left over are padding that some writers leave
}

Result<ZipDirectory> read_end64(BytesView tail, std::size_t end_at, std::uint64_t archive_bytes) {
  const auto base = archive_bytes - tail.size();  // archive offset of the tail's first byte
  if (end_at < kEnd64LocatorBytes) return malformed("the ZIP64 end record is missing");
  ByteReader locator{tail.subspan(end_at - kEnd64LocatorBytes, kEnd64LocatorBytes)};
  TACIT_TRY(const auto signature, locator.u32());
  TACIT_TRY(const auto disk, locator.u32());
  TACIT_TRY(const auto record_at, locator.u64());
  TACIT_TRY(const auto num_disks, locator.u32());
  if (signature != kEnd64LocatorSignature || disk != 0 || num_disks != 1) {
    return malformed("the ZIP64 end record is missing");
  }
  if (record_at < base || record_at > base + end_at - kEnd64LocatorBytes ||
      base + end_at - kEnd64LocatorBytes - record_at < kEnd64Bytes) {
    return malformed("the ZIP64 end record is not where it should be");
  }
  ByteReader in{tail.subspan(static_cast<std::size_t>(record_at - base), kEnd64Bytes)};
  TACIT_TRY(const auto record_signature, in.u32());
  TACIT_CHECK(in.take(8 + 2 + 2 + 4 + 4));  // size, versions, disks
  ZipDirectory directory;
  TACIT_TRY(const auto entries_here, in.u64());
  TACIT_TRY(directory.num_entries, in.u64());
  TACIT_TRY(directory.size_bytes, in.u64());
  TACIT_TRY(directory.offset, in.u64());
  if (record_signature != kEnd64Signature || entries_here != directory.num_entries) {
    return malformed("the ZIP64 end record is not well-formed");
  }
  if (directory.offset > record_at || directory.size_bytes != record_at - directory.offset) {
    return malformed("the ZIP directory does not end where its end record starts");
  }
  return directory;
}

Result<ZipDirectory> read_end(BytesView tail, std::size_t end_at, std::uint64_t archive_bytes) {
  ByteReader in{tail.subspan(end_at)};
  TACIT_CHECK(in.take(4));
  TACIT_TRY(const auto disk, in.u16());
  TACIT_TRY(const auto directory_disk, in.u16());
  TACIT_TRY(const auto entries_here, in.u16());
  TACIT_TRY(const auto num_entries, in.u16());
  TACIT_TRY(const auto size_bytes, in.u32());
  TACIT_TRY(const auto offset, in.u32());
  if (num_entries == kIn64Short || size_bytes == kIn64 || offset == kIn64) {
    return read_end64(tail, end_at, archive_bytes);
  }
  if (disk != 0 || directory_disk != 0 || entries_here != num_entries) {
    return fail(Code::unsupported, "a ZIP archive of several parts");
  }
  const ZipDirectory directory{offset, size_bytes, num_entries};
  const auto end_offset = archive_bytes - tail.size() + end_at;
  if (directory.offset > end_offset || directory.size_bytes != end_offset - directory.offset) {
    return malformed("the ZIP directory does not end where its end record starts");
  }
  return directory;
}

}  // namespace

Result<ZipDirectory> zip_directory(BytesView tail, std::uint64_t archive_bytes,
                                   const ZipLimits& limits) {
  if (tail.size() > archive_bytes) return fail(Code::invalid_argument, "more tail than archive");
  // The end record is the one whose comment reaches exactly to the end of the archive.
  for (std::size_t comment = 0; comment + kEndBytes <= tail.size() && comment <= 65'535;
       ++comment) {
    const auto at = tail.size() - kEndBytes - comment;
    ByteReader in{tail.subspan(at)};
    TACIT_TRY(const auto signature, in.u32());
    if (signature != kEndSignature) continue;
    TACIT_CHECK(in.take(kEndBytes - 4 - 2));
    TACIT_TRY(const auto comment_bytes, in.u16());
    if (comment_bytes != comment) continue;
    TACIT_TRY(const auto directory, read_end(tail, at, archive_bytes));
    if (directory.size_bytes > limits.directory_bytes_max ||
        directory.num_entries > limits.entries_max) {
      return fail(Error{Code::too_large, "the ZIP directory is too large"}.with(
          "limit", static_cast<std::int64_t>(limits.directory_bytes_max)));
    }
    if (directory.num_entries > directory.size_bytes / kCentralHeaderBytes) {
      return malformed("the ZIP directory claims more files than it can hold");
    }
    return directory;
  }
  return malformed("not a ZIP archive");
}

namespace {

struct CentralEntry {
  ZipEntry entry;
  std::uint16_t method = 0;
  std::uint16_t flags = 0;
};

Result<CentralEntry> read_central(ByteReader& in) {
  CentralEntry out;
  TACIT_TRY(const auto signature, in.u32());
  if (signature != kCentralSignature) return malformed("the ZIP directory is not well-formed");
  TACIT_CHECK(in.take(4));  // versions
  TACIT_TRY(out.flags, in.u16());
  TACIT_TRY(out.method, in.u16());
  TACIT_CHECK(in.take(4 + 4));  // time, CRC: the digest of the whole file says more
  TACIT_TRY(out.entry.compressed_bytes, in.u32());
  TACIT_TRY(out.entry.size_bytes, in.u32());
  TACIT_TRY(const auto name_bytes, in.u16());
  TACIT_TRY(const auto extra_bytes, in.u16());
  TACIT_TRY(const auto comment_bytes, in.u16());
  TACIT_CHECK(in.take(2 + 2 + 4));  // disk, attributes
  TACIT_TRY(out.entry.local_offset, in.u32());
  TACIT_TRY(const auto name, in.take(name_bytes));
  TACIT_TRY(const auto extra, in.take(extra_bytes));
  TACIT_CHECK(in.take(comment_bytes));
  out.entry.name = as_text(name);
  TACIT_TRY(const auto field, zip64_field(extra));
  ByteReader extra64{field};
  TACIT_CHECK(widen(out.entry.size_bytes, extra64));
  TACIT_CHECK(widen(out.entry.compressed_bytes, extra64));
  TACIT_CHECK(widen(out.entry.local_offset, extra64));
  return out;
}

Result<ZipMethod> usable_method(std::uint16_t method, std::uint16_t flags, std::string_view name) {
  if ((flags & kEncryptedFlags) != 0) {
    return fail(Error{Code::unsupported, "the file in the ZIP archive is encrypted"}.about(
        printable(name)));
  }
  if (method != 0 && method != 8) {
    return fail(Error{Code::unsupported, "the file in the ZIP archive has an unknown compression"}
                    .with("method", method)
                    .about(printable(name)));
  }
  return static_cast<ZipMethod>(method);
}

}  // namespace

Result<ZipEntry> find_zip_entry(BytesView bytes, const ZipDirectory& directory,
                                std::string_view name) {
  if (bytes.size() != directory.size_bytes) {
    return fail(Code::invalid_argument, "not the whole ZIP directory");
  }
  ByteReader in{bytes};
  std::optional<CentralEntry> found;
  for (std::uint64_t i = 0; i < directory.num_entries; ++i) {
    TACIT_TRY(auto current, read_central(in));
    const auto& entry = current.entry;
    const auto room = directory.offset;
    const auto least = kZipLocalHeaderBytes + entry.name.size();
    if (entry.local_offset > room || least > room - entry.local_offset ||
        entry.compressed_bytes > room - entry.local_offset - least) {
      return fail(Error{Code::malformed, "a file in the ZIP archive lies outside of it"}.about(
          printable(entry.name)));
    }
    if (entry.name != name) continue;
    if (found) {
      return fail(
          Error{Code::malformed, "the ZIP archive has the file twice"}.about(printable(name)));
    }
    found = std::move(current);
  }
  if (!in.done()) return malformed("the ZIP directory holds more than it says");
  if (!found) {
    return fail(
        Error{Code::not_found, "the ZIP archive does not have the file"}.about(printable(name)));
  }
  TACIT_TRY(found->entry.method, usable_method(found->method, found->flags, name));
  if (found->entry.method == ZipMethod::stored &&
      found->entry.compressed_bytes != found->entry.size_bytes) {
    return malformed("a stored file in the ZIP archive has two sizes");
  }
  return std::move(found->entry);
}

Result<std::uint64_t> zip_data_offset(BytesView local_header, const ZipEntry& entry,
                                      const ZipDirectory& directory) {
  ByteReader in{local_header};
  TACIT_TRY(const auto signature, in.u32());
  if (signature != kLocalSignature) return malformed("the ZIP archive's local header is missing");
  TACIT_CHECK(in.take(2 + 2 + 2 + 4 + 4 + 4 + 4));  // the directory has said all this
  TACIT_TRY(const auto name_bytes, in.u16());
  TACIT_TRY(const auto extra_bytes, in.u16());
  const auto offset = entry.local_offset + kZipLocalHeaderBytes + name_bytes + extra_bytes;
  if (name_bytes != entry.name.size() || offset > directory.offset ||
      entry.compressed_bytes > directory.offset - offset) {
    return malformed("the ZIP archive's local header and directory differ");
  }
  return offset;
}

struct ZipExtractor::State {
  State(ZipMethod m, std::uint64_t compressed, std::uint64_t size, std::uint64_t s)
      : method{m}, compressed_left{compressed}, size_left{size}, skip{s} {
    if (method == ZipMethod::deflate) zlib_ready = inflateInit2(&zlib, -MAX_WBITS) == Z_OK;
  }
  ~State() {
    if (zlib_ready) inflateEnd(&zlib);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  // Hands over bytes of the file, less those to skip.
  Result<void> emit(BytesView bytes, const ZipSink& sink) {
    if (bytes.size() > size_left) return malformed("the packed file is longer than promised");
    size_left -= bytes.size();
    const auto dropped = std::min<std::uint64_t>(skip, bytes.size());
    skip -= dropped;
    bytes = bytes.subspan(static_cast<std::size_t>(dropped));
    return bytes.empty() ? Result<void>{} : sink(bytes);
  }

  Result<std::size_t> inflate_some(BytesView bytes, const ZipSink& sink) {
    if (!zlib_ready) return fail(Code::internal, "zlib cannot start");
    std::array<std::byte, 64 * 1024> out;
    const auto offered =
        std::min<std::uint64_t>({bytes.size(), compressed_left, std::numeric_limits<uInt>::max()});
    // zlib's interface is older than const; it does not write to its input.
    zlib.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(bytes.data()));
    zlib.avail_in = static_cast<uInt>(offered);
    do {
      zlib.next_out = reinterpret_cast<Bytef*>(out.data());
      zlib.avail_out = static_cast<uInt>(out.size());
      const int code = ::inflate(&zlib, Z_NO_FLUSH);
      if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR) {
        return malformed("the packed file is damaged");
      }
      TACIT_CHECK(emit(BytesView{out}.first(out.size() - zlib.avail_out), sink));
      ended = code == Z_STREAM_END;
    } while (!ended && (zlib.avail_in > 0 || zlib.avail_out == 0));
    const auto used = static_cast<std::size_t>(offered - zlib.avail_in);
    compressed_left -= used;
    if (ended ? size_left > 0 : compressed_left == 0) {
      return malformed("the packed file is shorter than promised");
    }
    return used;
  }

  ZipMethod method;
  std::uint64_t compressed_left;
  std::uint64_t size_left;
  std::uint64_t skip;
  z_stream zlib{};
  bool zlib_ready = false;
  bool ended = false;
};

ZipExtractor::ZipExtractor(ZipMethod method, std::uint64_t compressed_bytes,
                           std::uint64_t size_bytes, std::uint64_t skip)
    : state_{std::make_unique<State>(method, compressed_bytes, size_bytes, skip)} {}
ZipExtractor::~ZipExtractor() = default;
ZipExtractor::ZipExtractor(ZipExtractor&&) noexcept = default;
ZipExtractor& ZipExtractor::operator=(ZipExtractor&&) noexcept = default;

bool ZipExtractor::done() const noexcept {
  return state_->method == ZipMethod::stored ? state_->size_left == 0 : state_->ended;
}

Result<std::size_t> ZipExtractor::feed(BytesView bytes, const ZipSink& sink) {
  if (done() || bytes.empty()) return 0;
  if (state_->method == ZipMethod::deflate) return state_->inflate_some(bytes, sink);
  const auto size =
      static_cast<std::size_t>(std::min<std::uint64_t>(bytes.size(), state_->size_left));
  TACIT_CHECK(state_->emit(bytes.first(size), sink));
  return size;
}

ZipWalker::ZipWalker(std::string name, std::uint64_t size_bytes, std::uint64_t skip)
    : name_{std::move(name)}, size_bytes_{size_bytes}, skip_{skip} {}

Result<void> ZipWalker::feed(BytesView bytes, const ZipSink& sink) {
  while (!bytes.empty() && !done()) {
    if (extractor_) {
      TACIT_TRY(const auto used, extractor_->feed(bytes, sink));
      bytes = bytes.subspan(used);
    } else if (to_pass_ > 0) {
      const auto passed = std::min<std::uint64_t>(to_pass_, bytes.size());
      to_pass_ -= passed;
      bytes = bytes.subspan(static_cast<std::size_t>(passed));
    } else {
      // The fixed part first, then what it says follows: name and extra fields, at most 128 KiB.
      std::size_t wanted = kZipLocalHeaderBytes;
      if (header_.size() >= kZipLocalHeaderBytes) {
        ByteReader in{BytesView{header_}.subspan(26)};
        TACIT_TRY(const auto name_bytes, in.u16());
        TACIT_TRY(const auto extra_bytes, in.u16());
        wanted += std::size_t{name_bytes} + extra_bytes;
      }
      const auto more = std::min(wanted - header_.size(), bytes.size());
      header_.insert(header_.end(), bytes.begin(),
                     bytes.begin() + static_cast<std::ptrdiff_t>(more));
      bytes = bytes.subspan(more);
      TACIT_CHECK(take_header());
    }
  }
  return {};
}

// Acts on the header once it is complete.
Result<void> ZipWalker::take_header() {
  if (header_.size() < 4) return {};
  ByteReader in{header_};
  TACIT_TRY(const auto signature, in.u32());
  if (signature == kCentralSignature || signature == kEndSignature ||
      signature == kEnd64Signature || signature == kArchiveExtraSignature) {
    return fail(
        Error{Code::not_found, "the ZIP archive does not have the file"}.about(printable(name_)));
  }
  if (signature != kLocalSignature) return malformed("not a ZIP archive");
  if (header_.size() < kZipLocalHeaderBytes) return {};
  TACIT_CHECK(in.take(2));
  TACIT_TRY(const auto flags, in.u16());
  TACIT_TRY(const auto method_number, in.u16());
  TACIT_CHECK(in.take(4 + 4));
  TACIT_TRY(const auto compressed_short, in.u32());
  TACIT_TRY(const auto size_short, in.u32());
  TACIT_TRY(const auto name_bytes, in.u16());
  TACIT_TRY(const auto extra_bytes, in.u16());
  if (in.remaining() < std::size_t{name_bytes} + extra_bytes) return {};
  TACIT_TRY(const auto name, in.take(name_bytes));
  TACIT_TRY(const auto extra, in.take(extra_bytes));
  TACIT_TRY(const auto field, zip64_field(extra));
  ByteReader extra64{field};
  std::uint64_t size = size_short;
  std::uint64_t compressed = compressed_short;
  TACIT_CHECK(widen(size, extra64));
  TACIT_CHECK(widen(compressed, extra64));
  const bool sizes_later = (flags & kSizesLaterFlag) != 0;
  if (as_text(name) != name_) {
    // Sizes follow the data in one of four forms, so only reading from the end is unambiguous.
    if (sizes_later)
      return fail(Code::unsupported, "the ZIP archive can only be read from its end");
    to_pass_ = compressed;
    header_.clear();
    return {};
  }
  TACIT_TRY(const auto method, usable_method(method_number, flags, name_));
  if (sizes_later) {  // the digest decides whether these were the right bytes
    size = size_bytes_;
    compressed = method == ZipMethod::stored ? size : std::numeric_limits<std::uint64_t>::max();
  }
  if (size != size_bytes_ || (method == ZipMethod::stored && compressed != size)) {
    return fail(Error{Code::corrupt, "the file in the ZIP archive has another size"}
                    .with("bytes", static_cast<std::int64_t>(size))
                    .with("expected", static_cast<std::int64_t>(size_bytes_)));
  }
  header_.clear();
  extractor_ = std::make_unique<ZipExtractor>(method, compressed, size, skip_);
  return {};
}

}  // namespace tacit::registry
