#include "crypto/random.hpp"

#include <openssl/rand.h>

#include <algorithm>
#include <climits>
#include <cstring>

#include "crypto/ossl.hpp"

namespace tacit::crypto {

void random_bytes(std::span<std::byte> out) {
  while (!out.empty()) {
    const auto part = out.first(std::min<std::size_t>(out.size(), INT_MAX));
    must(RAND_bytes(reinterpret_cast<unsigned char*>(part.data()), static_cast<int>(part.size())) ==
             1,
         "RAND_bytes");
    out = out.subspan(part.size());
  }
}

std::uint64_t random_u64() {
  std::uint64_t value = 0;
  random_bytes(std::as_writable_bytes(std::span{&value, 1}));
  return value;
}

}  // namespace tacit::crypto
