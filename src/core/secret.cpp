#include "core/secret.hpp"

#include <algorithm>
#include <cstring>

namespace tacit {

void wipe(std::span<std::byte> bytes) noexcept {
  // glibc's and the BSDs' promise: the write is not optimised away.
  if (!bytes.empty()) explicit_bzero(bytes.data(), bytes.size());
}

[[gnu::noinline]] void wipe_stack() noexcept {
  std::byte below[128 * 1024];
  explicit_bzero(below, sizeof below);
}

bool constant_time_equal(BytesView a, BytesView b) noexcept {
  if (a.size() != b.size()) return false;
  volatile unsigned char difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference = static_cast<unsigned char>(difference | std::to_integer<unsigned>(a[i] ^ b[i]));
  }
  return difference == 0;
}

SecretBytes::SecretBytes(std::size_t n) : data_{n == 0 ? nullptr : new std::byte[n]{}}, size_{n} {}

SecretBytes::SecretBytes(BytesView copy_from) : SecretBytes(copy_from.size()) {
  std::copy(copy_from.begin(), copy_from.end(), data_);
}

SecretBytes::~SecretBytes() {
  wipe(reveal_mutable());
  delete[] data_;
}

SecretBytes::SecretBytes(SecretBytes&& other) noexcept
    : data_{std::exchange(other.data_, nullptr)}, size_{std::exchange(other.size_, 0)} {}

SecretBytes& SecretBytes::operator=(SecretBytes&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

SecretText::~SecretText() { release(); }

void SecretText::release() noexcept {
  wipe({reinterpret_cast<std::byte*>(data_), capacity_});
  delete[] data_;
}

SecretText::SecretText(SecretText&& other) noexcept
    : data_{std::exchange(other.data_, nullptr)},
      size_{std::exchange(other.size_, 0)},
      capacity_{std::exchange(other.capacity_, 0)} {}

SecretText& SecretText::operator=(SecretText&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(capacity_, other.capacity_);
  return *this;
}

void SecretText::append(std::string_view more) {
  if (more.empty()) return;
  if (size_ + more.size() > capacity_) {
    const auto capacity = std::max({size_ + more.size(), capacity_ * 2, std::size_t{32}});
    auto* grown = new char[capacity];
    if (size_ > 0) std::memcpy(grown, data_, size_);
    std::memcpy(grown + size_, more.data(), more.size());  // before release: `more` may be ours
    release();
    data_ = grown;
    capacity_ = capacity;
  } else {
    std::memcpy(data_ + size_, more.data(), more.size());
  }
  size_ += more.size();
}

}  // namespace tacit
