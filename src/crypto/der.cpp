#include "crypto/der.hpp"

#include <algorithm>

namespace tacit::crypto {
namespace {

std::unexpected<Error> malformed() { return fail(Code::malformed, "DER"); }

BytesView without_leading_zeros(BytesView bytes) {
  while (!bytes.empty() && bytes[0] == std::byte{0}) bytes = bytes.subspan(1);
  return bytes;
}

}  // namespace

Result<BytesView> DerReader::take(std::uint8_t tag) {
  TACIT_TRY(const auto found, reader_.u8());
  if (found != tag) return malformed();
  TACIT_TRY(const auto first, reader_.u8());
  std::size_t size = first;
  if (first >= 0x80) {
    const std::size_t num_bytes = first & 0x7f;
    if (num_bytes == 0 || num_bytes > 4) return malformed();  // indefinite, or absurd
    TACIT_TRY(const auto length, reader_.take(num_bytes));
    if (length[0] == std::byte{0}) return malformed();
    size = 0;
    for (const auto byte : length) size = size << 8 | std::to_integer<std::size_t>(byte);
    if (size < 0x80) return malformed();
  }
  return reader_.take(size);
}

Result<BytesView> DerReader::take_unsigned() {
  TACIT_TRY(const auto content, take(kDerInteger));
  const auto top = std::byte{0x80};
  if (content.empty() || (content[0] & top) != std::byte{0}) return malformed();
  if (content.size() > 1 && content[0] == std::byte{0} && (content[1] & top) == std::byte{0}) {
    return malformed();
  }
  return without_leading_zeros(content);
}

void der_put(Bytes& out, std::uint8_t tag, BytesView content) {
  out.push_back(std::byte{tag});
  if (content.size() < 0x80) {
    out.push_back(static_cast<std::byte>(content.size()));
  } else {
    Bytes length;
    for (auto rest = content.size(); rest > 0; rest >>= 8) {
      length.insert(length.begin(), static_cast<std::byte>(rest));
    }
    out.push_back(static_cast<std::byte>(0x80 | length.size()));
    out.insert(out.end(), length.begin(), length.end());
  }
  out.insert(out.end(), content.begin(), content.end());
}

void der_put_unsigned(Bytes& out, BytesView magnitude) {
  magnitude = without_leading_zeros(magnitude);
  Bytes content;
  if (magnitude.empty() || (magnitude[0] & std::byte{0x80}) != std::byte{0}) {
    content.push_back(std::byte{0});
  }
  content.insert(content.end(), magnitude.begin(), magnitude.end());
  der_put(out, kDerInteger, content);
}

}  // namespace tacit::crypto
