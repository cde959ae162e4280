// A reader of CBOR (RFC 8949), as far as COSE and AWS documents need it: integers, byte and text
// strings of definite length, arrays, maps, null. Views borrow. Errors: Code::malformed. Private.
#pragma once

#include <cstdint>
#include <optional>

#include "core/bytes.hpp"
#include "core/error.hpp"

namespace tacit::attest {

class CborReader {
 public:
  explicit CborReader(BytesView bytes) noexcept : in_{bytes} {}

  bool done() const noexcept { return in_.done(); }
  std::size_t offset() const noexcept { return in_.offset(); }

  Result<std::uint64_t> unsigned_integer();
  Result<BytesView> byte_string();
  Result<std::string_view> text();
  // A byte string, or nullopt for null.
  Result<std::optional<BytesView>> optional_byte_string();
  // The number of members; nullopt when the end is marked (see at_end).
  Result<std::optional<std::uint64_t>> begin_array();
  Result<std::optional<std::uint64_t>> begin_map();
  // Takes the mark at the end of a list of indefinite length; false when another item follows.
  bool at_end();

 private:
  struct Head {
    unsigned type = 0;
    unsigned info = 0;
    std::uint64_t value = 0;
  };
  Result<Head> head();
  Result<BytesView> string(unsigned type);
  Result<std::optional<std::uint64_t>> begin(unsigned type);

  ByteReader in_;
  std::optional<std::uint8_t> peeked_;
};

}  // namespace tacit::attest
