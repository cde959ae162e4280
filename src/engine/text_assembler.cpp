#include "engine/text_assembler.hpp"

#include <algorithm>

#include "core/text.hpp"

namespace tacit::engine {
namespace {

std::string_view view(const domain::Content& text) { return text.reveal(); }
std::string_view view(const std::string& text) { return text; }

struct Match {
  std::size_t at = std::string_view::npos;
  std::size_t size = 0;
  std::uint32_t index = 0;
  bool found() const noexcept { return at != std::string_view::npos; }
};

// The needle that begins first in `text`.
template <class Needles> Match first_match(std::string_view text, const Needles& needles) {
  Match best;
  std::uint32_t index = 0;
  for (const auto& needle : needles) {
    const auto at = text.find(view(needle));
    if (at < best.at) best = {at, view(needle).size(), index};
    ++index;
  }
  return best;
}

// Length of the longest suffix of `text` that is a proper prefix of `needle`.
std::size_t overlap(std::string_view text, std::string_view needle) {
  for (auto n = std::min(text.size(), needle.size() - 1); n > 0; --n) {
    if (text.ends_with(needle.substr(0, n))) return n;
  }
  return 0;
}

// Number of bytes of the well-formed character at the start of `text`, or 0.
std::size_t character_size(std::string_view text) {
  for (std::size_t n = 1; n <= std::min<std::size_t>(4, text.size()); ++n) {
    if (is_utf8(text.substr(0, n))) return n;
  }
  return 0;
}

domain::Content repaired(std::string_view text) {
  if (is_utf8(text)) return domain::Content{text};
  domain::Content out;
  while (!text.empty()) {
    const auto n = character_size(text);
    out.append(n > 0 ? text.substr(0, n) : std::string_view{"\xEF\xBF\xBD"});
    text.remove_prefix(std::max<std::size_t>(n, 1));
  }
  return out;
}

}  // namespace

TextAssembler::TextAssembler(TextRules rules) : rules_{std::move(rules)}, mode_{Mode::answer} {
  std::erase_if(rules_.stops, [](const auto& stop) { return stop.empty(); });
  std::erase_if(rules_.reasoning_ends, [](const auto& tag) { return tag.empty(); });
  if (!rules_.reasoning_start.empty() && !rules_.reasoning_ends.empty()) {
    mode_ = rules_.starts_in_reasoning ? Mode::reasoning : Mode::opening;
  }
}

bool TextAssembler::feed(std::string_view piece) {
  held_.append(piece);
  ++tokens_since_emit_;
  return settle();
}

void TextAssembler::finish() { emit(held_.size(), mode_ == Mode::reasoning); }

// Moves what is certain from held_ to ready_. False: a stop text was met.
bool TextAssembler::settle() {
  if (mode_ == Mode::opening) {
    const auto text = held_.reveal();
    const auto start = std::min(text.find_first_not_of(" \t\r\n"), text.size());
    const auto rest = text.substr(start);
    const std::string_view tag{rules_.reasoning_start};
    if (rest.starts_with(tag)) {
      drop(start + tag.size());
      mode_ = Mode::reasoning;
    } else if (tag.starts_with(rest)) {
      return true;  // may become the tag
    } else {
      mode_ = Mode::answer;
    }
  }
  if (mode_ == Mode::reasoning) {
    const auto end = first_match(held_.reveal(), rules_.reasoning_ends);
    if (!end.found()) {
      emit(safe_prefix(rules_.reasoning_ends), true);
      return true;
    }
    emit(end.at, true);
    drop(end.size);
    mode_ = Mode::answer;
  }
  const auto stop = first_match(held_.reveal(), rules_.stops);
  if (stop.found()) {
    emit(stop.at, false);
    stop_index_ = stop.index;
    held_ = domain::Content{};
    return false;
  }
  emit(safe_prefix(rules_.stops), false);
  return true;
}

template <class Needles> std::size_t TextAssembler::safe_prefix(const Needles& needles) const {
  const auto text = held_.reveal();
  std::size_t hold = 0;
  for (const auto& needle : needles) hold = std::max(hold, overlap(text, view(needle)));
  return utf8_complete_prefix(text.substr(0, text.size() - hold));
}

void TextAssembler::emit(std::size_t n, bool reasoning) {
  if (n == 0) return;
  auto text = repaired(held_.reveal().substr(0, n));
  drop(n);
  ready_.push_back({reasoning, tokens_since_emit_, std::move(text)});
  tokens_since_emit_ = 0;
}

void TextAssembler::drop(std::size_t n) { held_ = domain::Content{held_.reveal().substr(n)}; }

domain::Event TextAssembler::take_ready(std::size_t bytes_max) {
  auto& piece = ready_.front();
  auto rest = piece.text.reveal().substr(piece.taken);
  auto n = std::min(rest.size(), bytes_max);
  n = utf8_complete_prefix(
      rest.substr(0, n));  // ready text is well-formed: this cuts between characters
  domain::Content text{rest.substr(0, n)};
  piece.taken += n;
  const auto num_tokens = std::exchange(piece.num_tokens, 0u);
  const bool reasoning = piece.reasoning;
  if (piece.taken == piece.text.size()) ready_.pop_front();
  if (reasoning) return domain::ReasoningDelta{std::move(text), num_tokens};
  return domain::TextDelta{std::move(text), num_tokens};
}

}  // namespace tacit::engine
