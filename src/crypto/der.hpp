// The few pieces of DER (X.690) that keys and signatures are made of. Private.
#pragma once

#include "core/bytes.hpp"
#include "core/error.hpp"

namespace tacit::crypto {

inline constexpr std::uint8_t kDerInteger = 0x02;
inline constexpr std::uint8_t kDerBitString = 0x03;
inline constexpr std::uint8_t kDerSequence = 0x30;

// DerReader takes elements off a borrowed view. Strict: definite lengths in their shortest form,
// one-byte tags. Errors: Code::malformed.
class DerReader {
 public:
  explicit DerReader(BytesView bytes) noexcept : reader_{bytes} {}

  bool done() const noexcept { return reader_.done(); }
  // The content of the next element, whose tag must be `tag`.
  Result<BytesView> take(std::uint8_t tag);
  // The next element, an INTEGER that is not negative and in its shortest form, without leading
  // zeros. Zero is empty.
  Result<BytesView> take_unsigned();

 private:
  ByteReader reader_;
};

void der_put(Bytes& out, std::uint8_t tag, BytesView content);
// Leading zeros of `magnitude` are dropped.
void der_put_unsigned(Bytes& out, BytesView magnitude);

}  // namespace tacit::crypto
