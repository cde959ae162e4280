// A secret of fixed size on the stack. Private.
#pragma once

#include <array>

#include "core/secret.hpp"

namespace tacit::crypto {

// SecretArray is wiped on destruction; neither copyable nor movable.
template <std::size_t kSize> class SecretArray {
 public:
  SecretArray() noexcept = default;
  ~SecretArray() { wipe(bytes_); }
  SecretArray(const SecretArray&) = delete;
  SecretArray& operator=(const SecretArray&) = delete;

  std::span<std::byte, kSize> span() noexcept { return bytes_; }
  BytesView view() const noexcept { return bytes_; }
  // The first n bytes, for secrets whose size the suite decides.
  std::span<std::byte> first(std::size_t n) noexcept { return std::span{bytes_}.first(n); }

 private:
  std::array<std::byte, kSize> bytes_{};
};

}  // namespace tacit::crypto
