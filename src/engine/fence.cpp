#include "engine/fence.hpp"

#include <algorithm>

#include "core/text.hpp"

namespace tacit::engine {
namespace {

// Private-use characters: no template touches them and no vocabulary gives them a meaning.
constexpr std::string_view kOpen = "\xEE\x80\x80";
constexpr std::string_view kClose = "\xEE\x80\x81";

std::string mark_start(std::uint64_t number) {
  return std::string{kOpen} + std::to_string(number) + ':';
}

}  // namespace

std::uint64_t ControlTexts::edge(std::uint32_t node, char byte) noexcept {
  return (std::uint64_t{node} << 8) | static_cast<unsigned char>(byte);
}

void ControlTexts::add(std::string_view text) {
  if (text.empty()) return;
  starts_[static_cast<unsigned char>(text.front())] = true;
  std::uint32_t node = 0;
  for (const char byte : text) {
    const auto [found, fresh] =
        edges_.try_emplace(edge(node, byte), static_cast<std::uint32_t>(ends_.size()));
    if (fresh) ends_.push_back(-1);
    node = found->second;
  }
  ends_[node] = static_cast<std::int64_t>(texts_.size());
  texts_.emplace_back(text);
}

std::optional<ControlTexts::Match> ControlTexts::find(std::string_view text,
                                                      std::size_t from) const {
  for (std::size_t at = from; at < text.size(); ++at) {
    if (!starts_[static_cast<unsigned char>(text[at])]) continue;
    std::optional<Match> longest;
    std::uint32_t node = 0;
    for (std::size_t i = at; i < text.size(); ++i) {
      const auto next = edges_.find(edge(node, text[i]));
      if (next == edges_.end()) break;
      node = next->second;
      if (ends_[node] >= 0) longest = {at, i + 1 - at, static_cast<std::uint32_t>(ends_[node])};
    }
    if (longest) return longest;
  }
  return std::nullopt;
}

void Fence::see(std::string_view message) {
  for (auto at = message.find(kOpen); at != message.npos; at = message.find(kOpen, at + 1)) {
    const auto digits = message.substr(at + kOpen.size());
    const auto number = parse_u64(digits.substr(0, digits.find_first_not_of("0123456789")));
    if (number) taken_.push_back(*number);
  }
}

void Fence::choose_mark() {
  std::ranges::sort(taken_);
  for (const auto number : taken_) {
    if (number == number_) ++number_;
  }
}

std::string Fence::shield(std::string_view message) const {
  std::string out;
  std::size_t done = 0;
  while (const auto match = texts_.find(message, done)) {
    out += message.substr(done, match->at - done);
    out += mark_start(number_) + std::to_string(match->index);
    out += kClose;
    done = match->at + match->size;
  }
  out += message.substr(done);
  return out;
}

std::vector<Fence::Piece> Fence::split(std::string_view rendered) const {
  std::vector<Piece> pieces;
  const auto start = mark_start(number_);
  std::size_t done = 0;
  const auto keep = [&](std::size_t end) {
    if (end > done) pieces.push_back({rendered.substr(done, end - done), true});
  };
  for (auto at = rendered.find(start); at != rendered.npos; at = rendered.find(start, at + 1)) {
    const auto digits = at + start.size();
    const auto close = rendered.find(kClose, digits);
    if (close == rendered.npos) break;
    const auto index = parse_u64(rendered.substr(digits, close - digits));
    if (!index || *index >= texts_.size()) continue;
    keep(at);
    pieces.push_back({texts_[static_cast<std::uint32_t>(*index)], false});
    done = close + kClose.size();
  }
  keep(rendered.size());
  return pieces;
}

}  // namespace tacit::engine
