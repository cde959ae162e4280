#include "attest/cbor.hpp"

namespace tacit::attest {
namespace {

constexpr unsigned kUnsigned = 0;
constexpr unsigned kBytes = 2;
constexpr unsigned kText = 3;
constexpr unsigned kArray = 4;
constexpr unsigned kMap = 5;
constexpr unsigned kSimple = 7;
constexpr unsigned kIndefinite = 31;
constexpr std::uint8_t kBreak = 0xff;
constexpr unsigned kNull = 22;

}  // namespace

Result<CborReader::Head> CborReader::head() {
  std::uint8_t first = 0;
  if (peeked_) {
    first = *peeked_;
    peeked_.reset();
  } else {
    TACIT_TRY(first, in_.u8());
  }
  const unsigned initial = first;
  Head out{initial >> 5U, initial & 31U, initial & 31U};
  if (out.info < 24) return out;
  switch (out.info) {
    case 24: {
      TACIT_TRY(out.value, in_.u8());
      if (out.value < 24) return fail(Code::malformed, "CBOR number is not in its shortest form");
      return out;
    }
    case 25: {
      TACIT_TRY(out.value, in_.u16_be());
      if (out.value < 0x100)
        return fail(Code::malformed, "CBOR number is not in its shortest form");
      return out;
    }
    case 26: {
      TACIT_TRY(out.value, in_.u32_be());
      if (out.value < 0x10000)
        return fail(Code::malformed, "CBOR number is not in its shortest form");
      return out;
    }
    case 27: {
      TACIT_TRY(out.value, in_.u64_be());
      return out;
    }
    case kIndefinite: return out;
    default: return fail(Code::malformed, "CBOR item");
  }
}

Result<std::uint64_t> CborReader::unsigned_integer() {
  TACIT_TRY(const auto item, head());
  if (item.type != kUnsigned || item.info == kIndefinite)
    return fail(Code::malformed, "CBOR item of another type");
  return item.value;
}

Result<BytesView> CborReader::string(unsigned type) {
  TACIT_TRY(const auto item, head());
  if (item.type != type || item.info == kIndefinite)
    return fail(Code::malformed, "CBOR item of another type");
  return in_.take(item.value);
}

Result<BytesView> CborReader::byte_string() { return string(kBytes); }

Result<std::string_view> CborReader::text() {
  TACIT_TRY(const auto bytes, string(kText));
  return as_text(bytes);
}

Result<std::optional<BytesView>> CborReader::optional_byte_string() {
  TACIT_TRY(const auto item, head());
  if (item.type == kSimple && item.info == kNull) return std::optional<BytesView>{};
  if (item.type != kBytes || item.info == kIndefinite)
    return fail(Code::malformed, "CBOR item of another type");
  TACIT_TRY(const auto bytes, in_.take(item.value));
  return std::optional<BytesView>{bytes};
}

Result<std::optional<std::uint64_t>> CborReader::begin(unsigned type) {
  TACIT_TRY(const auto item, head());
  if (item.type != type) return fail(Code::malformed, "CBOR item of another type");
  if (item.info == kIndefinite) return std::optional<std::uint64_t>{};
  return std::optional{item.value};
}

Result<std::optional<std::uint64_t>> CborReader::begin_array() { return begin(kArray); }
Result<std::optional<std::uint64_t>> CborReader::begin_map() { return begin(kMap); }

bool CborReader::at_end() {
  if (!peeked_) {
    auto next = in_.u8();
    if (!next) return false;  // the read that follows says so
    peeked_ = *next;
  }
  if (*peeked_ != kBreak) return false;
  peeked_.reset();
  return true;
}

}  // namespace tacit::attest
