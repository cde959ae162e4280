// Makes small ZIP archives, right or wrong. For tests only.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

#include <zlib.h>

#include "core/bytes.hpp"

namespace tacit::registry::testing {

struct ZipOptions {
  bool deflate = false;
  bool zip64 = false;        // sizes and offset in the ZIP64 field
  bool sizes_later = false;  // bit 3: sizes follow the data
  std::uint16_t more_flags = 0;
  int method = -1;            // what the headers say, when not what is done
  std::int64_t size_lie = 0;  // added to the size in the headers
  std::int64_t local_offset_lie = 0;
};

inline Bytes deflated(BytesView data) {
  z_stream zlib{};
  if (deflateInit2(&zlib, 6, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK) std::abort();
  Bytes out(deflateBound(&zlib, static_cast<uLong>(data.size())));
  Bytes copy{data.begin(), data.end()};
  zlib.next_in = reinterpret_cast<Bytef*>(copy.data());
  zlib.avail_in = static_cast<uInt>(copy.size());
  zlib.next_out = reinterpret_cast<Bytef*>(out.data());
  zlib.avail_out = static_cast<uInt>(out.size());
  if (::deflate(&zlib, Z_FINISH) != Z_STREAM_END) std::abort();
  out.resize(zlib.total_out);
  deflateEnd(&zlib);
  return out;
}

class ZipBuilder {
 public:
  std::string comment;
  bool zip64_end = false;
  std::uint64_t entries_lie = 0;  // added to the count in the end record

  ZipBuilder& add(std::string_view name, BytesView data, const ZipOptions& options = {}) {
    const auto packed = options.deflate ? deflated(data) : Bytes{data.begin(), data.end()};
    const auto offset = archive_.size() + static_cast<std::uint64_t>(options.local_offset_lie);
    const auto size = data.size() + static_cast<std::uint64_t>(options.size_lie);
    const auto flags =
        static_cast<std::uint16_t>(options.more_flags | (options.sizes_later ? 1u << 3 : 0u));
    const auto method = static_cast<std::uint16_t>(options.method >= 0 ? options.method
                                                   : options.deflate   ? 8
                                                                       : 0);
    archive_.u32(0x04034b50);
    ByteWriter local_extra;
    head(archive_, flags, method);
    if (options.sizes_later)
      sizes(archive_, local_extra, false, 0, 0);
    else
      sizes(archive_, local_extra, options.zip64, packed.size(), size);
    local_extra.u16(
        0xCAFE);  // some other field, which local headers often have and directories not
    local_extra.u16(3);
    local_extra.raw("abc");
    archive_.u16(static_cast<std::uint16_t>(name.size()));
    archive_.u16(static_cast<std::uint16_t>(local_extra.size()));
    archive_.raw(name);
    archive_.raw(local_extra.bytes());
    archive_.raw(packed);
    if (options.sizes_later) {
      archive_.u32(0x08074b50);
      archive_.u32(0);
      archive_.u32(static_cast<std::uint32_t>(packed.size()));
      archive_.u32(static_cast<std::uint32_t>(size));
    }
    central(name, flags, method, packed.size(), size, offset, options.zip64);
    return *this;
  }

  Bytes build() const {
    ByteWriter out;
    out.raw(archive_.bytes());
    const auto directory_at = out.size();
    out.raw(directory_.bytes());
    const auto num_entries = num_entries_ + entries_lie;
    const auto size = directory_.size();
    if (zip64_end) {
      const auto record_at = out.size();
      out.u32(0x06064b50);
      out.u64(44);
      out.u16(45);
      out.u16(45);
      out.u32(0);
      out.u32(0);
      out.u64(num_entries);
      out.u64(num_entries);
      out.u64(size);
      out.u64(directory_at);
      out.u32(0x07064b50);
      out.u32(0);
      out.u64(record_at);
      out.u32(1);
    }
    out.u32(0x06054b50);
    out.u32(0);  // disks
    for (int i = 0; i < 2; ++i)
      out.u16(zip64_end ? 0xFFFF : static_cast<std::uint16_t>(num_entries));
    out.u32(zip64_end ? 0xFFFFFFFF : static_cast<std::uint32_t>(size));
    out.u32(zip64_end ? 0xFFFFFFFF : static_cast<std::uint32_t>(directory_at));
    out.u16(static_cast<std::uint16_t>(comment.size()));
    out.raw(comment);
    return std::move(out).take();
  }

 private:
  static void head(ByteWriter& out, std::uint16_t flags, std::uint16_t method) {
    out.u16(20);
    out.u16(flags);
    out.u16(method);
    out.u32(0);  // time
    out.u32(0);  // CRC: the reader leaves that to the digest
  }
  static void sizes(ByteWriter& out, ByteWriter& extra, bool zip64, std::uint64_t packed,
                    std::uint64_t size) {
    out.u32(zip64 ? 0xFFFFFFFF : static_cast<std::uint32_t>(packed));
    out.u32(zip64 ? 0xFFFFFFFF : static_cast<std::uint32_t>(size));
    if (!zip64) return;
    extra.u16(1);
    extra.u16(16);
    extra.u64(size);
    extra.u64(packed);
  }
  void central(std::string_view name, std::uint16_t flags, std::uint16_t method,
               std::uint64_t packed, std::uint64_t size, std::uint64_t offset, bool zip64) {
    directory_.u32(0x02014b50);
    directory_.u16(20);
    head(directory_, flags, method);
    directory_.u32(zip64 ? 0xFFFFFFFF : static_cast<std::uint32_t>(packed));
    directory_.u32(zip64 ? 0xFFFFFFFF : static_cast<std::uint32_t>(size));
    directory_.u16(static_cast<std::uint16_t>(name.size()));
    directory_.u16(zip64 ? 28 : 0);
    directory_.u16(0);  // comment
    directory_.u16(0);  // disk
    directory_.u16(0);
    directory_.u32(0);  // attributes
    directory_.u32(zip64 ? 0xFFFFFFFF : static_cast<std::uint32_t>(offset));
    directory_.raw(name);
    if (zip64) {
      directory_.u16(1);
      directory_.u16(24);
      directory_.u64(size);
      directory_.u64(packed);
      directory_.u64(offset);
    }
    ++num_entries_;
  }

  ByteWriter archive_;
  ByteWriter directory_;
  std::uint64_t num_entries_ = 0;
};

}  // namespace tacit::registry::testing
