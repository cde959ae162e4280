// A reader of protocol buffers' wire format (https://protobuf.dev/programming-guides/encoding/), as
// far as attestations use it: varints and length-delimited fields. Private to this module.
#pragma once

#include <cstdint>

#include "core/bytes.hpp"
#include "core/error.hpp"

namespace tacit::attest {

struct ProtobufField {
  std::uint32_t number = 0;
  bool is_bytes = false;
  std::uint64_t value = 0;  // of a varint
  BytesView bytes;
};

class ProtobufReader {
 public:
  explicit ProtobufReader(BytesView bytes) noexcept : in_{bytes} {}
  bool done() const noexcept { return in_.done(); }
  // Errors: malformed; unsupported (groups, fixed-width fields).
  Result<ProtobufField> next();

 private:
  Result<std::uint64_t> varint();
  ByteReader in_;
};

}  // namespace tacit::attest
