// Quotes from strangers: what parses is inside of its input and no part of it may be missing.
#include <algorithm>

#include "attest/intel_quote.hpp"
#include "fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tacit::attest;  // a program of one file
  const tacit::BytesView bytes{reinterpret_cast<const std::byte*>(data), size};
  const auto quote = parse_intel_quote(bytes);
  if (!quote) return 0;
  FUZZ_CHECK(quote->size <= size);
  FUZZ_CHECK(quote->signed_part.data() == bytes.data());
  FUZZ_CHECK(quote->certificates.data() + quote->certificates.size() == bytes.data() + quote->size);
  FUZZ_CHECK(!parse_intel_quote(bytes.first(quote->size - 1)));
  tacit::Bytes padded{bytes.begin(), bytes.end()};
  padded.push_back(std::byte{0});
  FUZZ_CHECK(parse_intel_quote(padded).has_value());
  padded.back() = std::byte{1};
  FUZZ_CHECK(!parse_intel_quote(padded));
  return 0;
}
