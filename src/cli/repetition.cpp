#include "cli/repetition.hpp"

#include <algorithm>

namespace tacit::cli {
namespace {

constexpr std::size_t kPhraseMax = 320;
constexpr std::size_t kTimes = 4;
constexpr std::size_t kBytesMin = 240;  // a ruled line, a row of zeros or a laugh is shorter

bool ends_in_period(std::string_view text, std::size_t period) noexcept {
  const auto length = std::max(period * kTimes, kBytesMin);
  if (text.size() < length) return false;
  const auto tail = text.substr(text.size() - length);
  // A text has a period when it equals itself that much further on. From the end, where a
  // difference is found soonest.
  return std::equal(tail.rbegin(), tail.rend() - static_cast<std::ptrdiff_t>(period),
                    tail.rbegin() + static_cast<std::ptrdiff_t>(period));
}

}  // namespace

bool repeats_itself(std::string_view text) noexcept {
  for (std::size_t period = 1; period <= kPhraseMax; ++period) {
    if (ends_in_period(text, period)) return true;
  }
  return false;
}

}  // namespace tacit::cli
