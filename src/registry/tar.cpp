#include "registry/tar.hpp"

#include <algorithm>
#include <cstring>
#include <optional>

namespace tacit::registry {
namespace {

struct Field {
  std::size_t offset;
  std::size_t size;
};
constexpr Field kName{0, 100};
constexpr Field kMode{100, 8};
constexpr Field kUid{108, 8};
constexpr Field kGid{116, 8};
constexpr Field kSize{124, 12};
constexpr Field kTime{136, 12};
constexpr Field kSum{148, 8};
constexpr Field kType{156, 1};
constexpr Field kMagic{257, 8};
constexpr std::uint64_t kOctalMax = 077777777777;
constexpr std::string_view kUstar{"ustar\00000", 8};
constexpr std::byte kBase256{0x80};

void put(TarBlock& block, Field field, std::string_view text) {
  std::memcpy(block.data() + field.offset, text.data(), std::min(field.size, text.size()));
}

// Digits and a NUL.
void put_octal(TarBlock& block, Field field, std::uint64_t value) {
  for (std::size_t i = field.size - 1; i-- > 0;) {
    block[field.offset + i] = static_cast<std::byte>('0' + value % 8);
    value /= 8;
  }
}

std::optional<std::uint64_t> octal(BytesView field) {
  auto text = as_text(field);
  while (!text.empty() && (text.back() == '\0' || text.back() == ' ')) text.remove_suffix(1);
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  if (text.empty()) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '7' || value > (UINT64_MAX >> 3)) return std::nullopt;
    value = value * 8 + static_cast<std::uint64_t>(c - '0');
  }
  return value;
}

std::optional<std::uint64_t> size_field(BytesView field) {
  if (field.front() != kBase256) return octal(field);
  const auto digits = field.subspan(1);
  std::uint64_t value = 0;
  for (const auto byte : digits) {
    if (value > (UINT64_MAX >> 8)) return std::nullopt;
    value = value << 8 | std::to_integer<std::uint64_t>(byte);
  }
  return value;
}

// The sum of all bytes, with the field of the sum as spaces.
std::uint64_t sum(BytesView block) {
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < block.size(); ++i) {
    const bool in_sum = i >= kSum.offset && i < kSum.offset + kSum.size;
    total += in_sum ? ' ' : std::to_integer<std::uint64_t>(block[i]);
  }
  return total;
}

}  // namespace

TarBlock tar_header(std::string_view name, std::uint64_t size_bytes) {
  TarBlock block{};
  put(block, kName, name.substr(0, kName.size - 1));
  put_octal(block, kMode, 0644);
  put_octal(block, kUid, 0);
  put_octal(block, kGid, 0);
  if (size_bytes <= kOctalMax) {
    put_octal(block, kSize, size_bytes);
  } else {
    block[kSize.offset] = kBase256;
    for (std::size_t i = 0; i < 8; ++i) {
      block[kSize.offset + kSize.size - 1 - i] = static_cast<std::byte>(size_bytes >> (8 * i));
    }
  }
  put_octal(block, kTime, 0);
  put(block, kType, "0");
  put(block, kMagic, kUstar);
  put_octal(block, {kSum.offset, kSum.size - 1}, sum(block));
  block[kSum.offset + kSum.size - 1] = std::byte{' '};
  return block;
}

Result<TarEntry> parse_tar_header(BytesView block) {
  if (block.size() != kTarBlockBytes) return fail(Code::malformed, "a tar header is cut short");
  const auto field = [&](Field f) { return block.subspan(f.offset, f.size); };
  const auto stated = octal(field(kSum));
  if (!stated || *stated != sum(block)) {
    return fail(Code::malformed, "not a tar header, or a damaged one");
  }
  if (!as_text(field(kMagic)).starts_with("ustar")) {
    return fail(Code::malformed, "not a ustar archive");
  }
  const auto type = as_text(field(kType)).front();
  if (type != '0' && type != '\0') {
    return fail(Code::unsupported, "something in the archive is not a regular file");
  }
  const auto size = size_field(field(kSize));
  if (!size) return fail(Code::malformed, "the size in a tar header makes no sense");
  const auto name = as_text(field(kName));
  const auto end = name.find('\0');
  if (end == 0 || end == std::string_view::npos) {
    return fail(Code::malformed, "the name in a tar header is empty or too long");
  }
  return TarEntry{std::string{name.substr(0, end)}, *size};
}

}  // namespace tacit::registry
