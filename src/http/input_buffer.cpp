#include "http/input_buffer.hpp"

#include <algorithm>
#include <utility>

#include "core/secret.hpp"

namespace tacit::http {

InputBuffer::InputBuffer(InputBuffer&& other) noexcept
    : data_{std::move(other.data_)},
      capacity_{std::exchange(other.capacity_, 0)},
      begin_{std::exchange(other.begin_, 0)},
      end_{std::exchange(other.end_, 0)},
      used_{std::exchange(other.used_, 0)} {}

InputBuffer& InputBuffer::operator=(InputBuffer&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(capacity_, other.capacity_);
  std::swap(begin_, other.begin_);
  std::swap(end_, other.end_);
  std::swap(used_, other.used_);
  return *this;
}

std::span<std::byte> InputBuffer::prepare(std::size_t n) {
  if (capacity_ - end_ >= n) return {data_.get() + end_, capacity_ - end_};
  if (begin_ > 0 && capacity_ - size() >= n) {
    std::copy(data_.get() + begin_, data_.get() + end_, data_.get());
    end_ = size();
    begin_ = 0;
    return {data_.get() + end_, capacity_ - end_};
  }
  InputBuffer bigger;
  bigger.capacity_ = std::max(size() + n, 2 * capacity_);
  bigger.data_ = std::make_unique_for_overwrite<std::byte[]>(bigger.capacity_);
  std::copy_n(data_.get() + begin_, size(), bigger.data_.get());
  bigger.end_ = bigger.used_ = size();
  *this = std::move(bigger);
  return {data_.get() + end_, capacity_ - end_};
}

void InputBuffer::commit(std::size_t n) noexcept {
  end_ += n;
  used_ = std::max(used_, end_);
}

void InputBuffer::consume(std::size_t n) noexcept {
  begin_ += n;
  if (begin_ == end_) begin_ = end_ = 0;
}

void InputBuffer::release() noexcept {
  if (data_) wipe({data_.get(), used_});
  data_.reset();
  capacity_ = begin_ = end_ = used_ = 0;
}

}  // namespace tacit::http
