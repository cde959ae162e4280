// From the bytes of tokens to text that may be shown: whole UTF-8 characters, cut before a stop
// text, reasoning apart from the answer. Sans-I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "domain/content.hpp"
#include "domain/event.hpp"

namespace tacit::engine {

// TextRules is what one request asks of its text.
struct TextRules {
  std::vector<domain::Content> stops;  // none of them empty
  // Tags of the model's reasoning, from its chat template; no start tag: the model has none.
  std::string reasoning_start;
  std::vector<std::string> reasoning_ends;
  bool starts_in_reasoning = false;  // the template has already opened it
};

// TextAssembler is fed token by token. What could still become a stop text, a tag or the rest of a
// character is held back; bytes that are not UTF-8 become U+FFFD. Move-only; not thread-safe.
class TextAssembler {
 public:
  explicit TextAssembler(TextRules rules);

  // Adds the bytes of one token. Returns false once a stop text was met: the text before it is
  // ready, and no more may be fed.
  bool feed(std::string_view piece);
  // Nothing more will come: what was held back becomes ready.
  void finish();

  // The stop text that was met, as its place in TextRules::stops.
  std::optional<std::uint32_t> stop_index() const noexcept { return stop_index_; }

  bool has_ready() const noexcept { return !ready_.empty(); }
  // The next piece of text, at most `bytes_max` (>= 4) bytes. Requires has_ready().
  domain::Event take_ready(std::size_t bytes_max);

 private:
  enum class Mode : std::uint8_t { opening, reasoning, answer };
  struct Piece {
    bool reasoning;
    std::uint32_t num_tokens;
    domain::Content text;
    std::size_t taken = 0;
  };
  bool settle();
  void emit(std::size_t n, bool reasoning);
  void drop(std::size_t n);
  template <class Needles> std::size_t safe_prefix(const Needles& needles) const;

  TextRules rules_;
  Mode mode_;
  domain::Content held_;
  std::optional<std::uint32_t> stop_index_;
  std::uint32_t tokens_since_emit_ = 0;
  std::deque<Piece> ready_;
};

}  // namespace tacit::engine
